"""What the things in the pictures are called, and which colours they have.

Keys are folder names in lower case with spaces: `Fruit/Red-Grapefruit` is `red grapefruit`.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Noun:
    """One thing: its singular, its plural, and other names that people type for it."""

    one: str
    many: str
    others: tuple[str, ...] = ()


NOUNS: Final[dict[str, Noun]] = {
    "apple": Noun("apple", "apples"),
    "apricot": Noun("apricot", "apricots"),
    "asparagus": Noun("asparagus", "asparagus", ("green asparagus", "asparagus spears")),
    "aubergine": Noun("aubergine", "aubergines", ("eggplant", "eggplants")),
    "avocado": Noun("avocado", "avocados"),
    "banana": Noun("banana", "bananas", ("a bunch of bananas",)),
    "blueberry": Noun("blueberry", "blueberries"),
    "brown cap mushroom": Noun(
        "brown cap mushroom", "brown cap mushrooms", ("mushroom", "mushrooms", "brown mushrooms")
    ),
    "cabbage": Noun("cabbage", "cabbages", ("head of cabbage",)),
    "carrots": Noun("carrot", "carrots"),
    "cherry": Noun("cherry", "cherries"),
    "cucumber": Noun("cucumber", "cucumbers"),
    "garlic": Noun("garlic", "garlic", ("garlic bulbs",)),
    "ginger": Noun("ginger", "ginger", ("ginger root",)),
    "grape": Noun("grape", "grapes", ("a bunch of grapes",)),
    "juice": Noun("juice", "juices", ("juice carton", "carton of juice", "juice cartons")),
    "kiwi": Noun("kiwi", "kiwis", ("kiwi fruit", "kiwifruit")),
    "leek": Noun("leek", "leeks"),
    "lemon": Noun("lemon", "lemons"),
    "lime": Noun("lime", "limes"),
    "litchi": Noun("litchi", "litchis", ("lychee", "lychees")),
    "mango": Noun("mango", "mangos", ("mangoes",)),
    "melon": Noun("melon", "melons"),
    "milk": Noun("milk", "milk", ("milk carton", "carton of milk", "milk cartons")),
    "nectarine": Noun("nectarine", "nectarines"),
    "oat milk": Noun("oat milk", "oat milk", ("oat milk carton", "oat drink")),
    "oatghurt": Noun("oatghurt", "oatghurt", ("oat yoghurt", "oat yogurt")),
    "onion": Noun("onion", "onions"),
    "orange": Noun("orange", "oranges"),
    "papaya": Noun("papaya", "papayas"),
    "passion fruit": Noun("passion fruit", "passion fruits", ("passionfruit",)),
    "peach": Noun("peach", "peaches"),
    "pear": Noun("pear", "pears"),
    "pepper": Noun("pepper", "peppers", ("bell pepper", "bell peppers", "paprika")),
    "pineapple": Noun("pineapple", "pineapples"),
    "plum": Noun("plum", "plums"),
    "pomegranate": Noun("pomegranate", "pomegranates"),
    "potato": Noun("potato", "potatoes"),
    "red beet": Noun("red beet", "red beets", ("beetroot", "beetroots", "beet", "beets")),
    "red grapefruit": Noun(
        "red grapefruit", "red grapefruits", ("grapefruit", "grapefruits", "red-grapefruit")
    ),
    "satsumas": Noun(
        "satsuma", "satsumas", ("mandarin", "mandarins", "tangerine", "clementine", "clementines")
    ),
    "sour cream": Noun("sour cream", "sour cream", ("sour cream carton",)),
    "sour milk": Noun("sour milk", "sour milk", ("sour milk carton", "soured milk")),
    "soy milk": Noun("soy milk", "soy milk", ("soy milk carton", "soy drink")),
    "soyghurt": Noun("soyghurt", "soyghurt", ("soy yoghurt", "soy yogurt")),
    "tomato": Noun("tomato", "tomatoes"),
    "yoghurt": Noun("yoghurt", "yoghurts", ("yogurt", "yoghurt carton", "carton of yogurt")),
    "zucchini": Noun("zucchini", "zucchinis", ("courgette", "courgettes")),
}

# Of a variety, or of a category that has none; what is left out is never called by a colour.
COLOURS: Final[dict[str, tuple[str, ...]]] = {
    "golden delicious": ("yellow",),
    "granny smith": ("green",),
    "pink lady": ("red", "pink"),
    "red delicious": ("red",),
    "royal gala": ("red",),
    "apricot": ("orange",),
    "banana": ("yellow",),
    "blueberry": ("blue",),
    "kiwi": ("brown",),
    "lemon": ("yellow",),
    "lime": ("green",),
    "litchi": ("red", "pink"),
    "galia melon": ("yellow",),
    "honeydew melon": ("yellow",),
    "watermelon": ("green",),
    "nectarine": ("red",),
    "orange": ("orange",),
    "papaya": ("green",),
    "passion fruit": ("purple",),
    "anjou": ("green",),
    "conference": ("green",),
    "kaiser": ("brown",),
    "plum": ("purple",),
    "pomegranate": ("red",),
    "satsumas": ("orange",),
    "asparagus": ("green",),
    "aubergine": ("purple",),
    "brown cap mushroom": ("brown",),
    "cabbage": ("green",),
    "carrots": ("orange",),
    "cucumber": ("green",),
    "garlic": ("white",),
    "leek": ("green",),
    "yellow onion": ("yellow",),
    "green bell pepper": ("green",),
    "orange bell pepper": ("orange",),
    "red bell pepper": ("red",),
    "yellow bell pepper": ("yellow",),
    "beef tomato": ("red",),
    "regular tomato": ("red",),
    "vine tomato": ("red",),
    "zucchini": ("green",),
}

# Words for several categories at once; the first three are the photos' top folders.
KINDS: Final[dict[str, tuple[str, ...]]] = {
    "fruit": ("fruit", "fruits", "fresh fruit"),
    "vegetables": ("vegetables", "vegetable", "veggies", "fresh vegetables"),
    "packages": ("packages", "cartons", "carton", "package", "dairy and juice cartons"),
    "citrus": ("citrus fruit", "citrus fruits", "citrus"),
    "berries": ("berries", "small berries", "berry"),
    "dairy": ("dairy", "dairy products"),
}
KIND_MEMBERS: Final[dict[str, frozenset[str]]] = {
    "citrus": frozenset({"lemon", "lime", "orange", "red grapefruit", "satsumas"}),
    "berries": frozenset({"blueberry", "cherry", "grape"}),
    "dairy": frozenset({"milk", "sour cream", "sour milk", "yoghurt"}),
}

# Where the drawn pictures are set, in words that follow the fruit.
SETTINGS: Final[dict[str, tuple[str, ...]]] = {
    "wooden table": ("on a wooden table", "on a table", "on wood"),
    "white plate": ("on a white plate", "on a plate"),
    "plain background": ("on a plain background", "on a white background"),
    "kitchen cloth": ("on a kitchen cloth", "on a cloth"),
    "marble": ("on marble", "on a marble counter"),
    "slate": ("on slate", "on a slate board"),
    "basket": ("in a basket", "in a wicker basket"),
    "bowl": ("in a bowl",),
    "crate": ("in a crate", "in a wooden crate", "in a box"),
    "close-up": ("close up", "seen from close by"),
    "grass": ("on grass", "in the grass"),
    "branch": ("on a branch", "on a tree", "hanging on a tree"),
}

# Colour words that say a plainer colour too.
SHADES: Final[dict[str, frozenset[str]]] = {
    "dark red": frozenset({"dark red", "red"}),
    "ripe": frozenset({"ripe", "yellow"}),
}
