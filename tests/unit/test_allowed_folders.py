"""Which folders visitors may index: no name leads outside, and none tells what is there."""

from pathlib import Path

import pytest

from webapp.allowed_folders import MAX_LISTED, OUTSIDE, AllowedFolders
from webapp.errors import BadFolder, NotAllowed


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Allowed; beside it something that is not."""
    photos = tmp_path / "photos"
    (photos / "2026" / "summer").mkdir(parents=True)
    (photos / "note.txt").write_text("x")
    (tmp_path / "secret" / "inner").mkdir(parents=True)
    (tmp_path / "photos-of-others").mkdir()
    return photos


@pytest.fixture
def allowed(photos: Path) -> AllowedFolders:
    return AllowedFolders([photos])


def test_folders_by_absolute_and_relative_path(allowed: AllowedFolders, photos: Path) -> None:
    assert allowed.find(str(photos)) == photos
    assert allowed.find(f"{photos}/2026/") == photos / "2026"
    assert allowed.find("2026/summer") == photos / "2026" / "summer"
    assert allowed.find(".") == photos


def test_a_relative_path_may_be_in_any_allowed_folder(
    allowed: AllowedFolders, photos: Path, tmp_path: Path
) -> None:
    (tmp_path / "more" / "1999").mkdir(parents=True)
    both = AllowedFolders([photos, tmp_path / "more"])
    assert both.find("1999") == tmp_path / "more" / "1999"
    assert both.find("2026") == photos / "2026"


@pytest.mark.parametrize(
    "name",
    [
        "{tmp}/secret", "{tmp}/secret/inner", "{tmp}/no such", "{tmp}", "/", "/etc",
        "{tmp}/photos-of-others", "..", "../secret", "2026/../../secret", "2026/..",
        "{tmp}/photos/../secret", "{tmp}/photos/../no such", "{tmp}/secret/../photos",
        "{tmp}/no such/../photos",
    ],
)  # fmt: skip
def test_what_is_outside_is_refused_in_the_same_words(
    allowed: AllowedFolders, tmp_path: Path, name: str
) -> None:
    for ask in (allowed.find, allowed.listing):
        with pytest.raises(NotAllowed) as error:
            ask(name.format(tmp=tmp_path))
        assert str(error.value) == OUTSIDE


def test_links_that_lead_outside_are_refused(
    allowed: AllowedFolders, photos: Path, tmp_path: Path
) -> None:
    (photos / "out").symlink_to(tmp_path / "secret")
    (photos / "nowhere").symlink_to(tmp_path / "no such")
    (photos / "circle").symlink_to("circle")
    (tmp_path / "secret" / "back").symlink_to(photos)
    for name in ("out", "out/inner", "out/no such", "nowhere", "circle", "circle/x", "out/back"):
        for form in (name, f"{photos}/{name}"):
            with pytest.raises(NotAllowed) as error:
                allowed.find(form)
            assert str(error.value) == OUTSIDE
    assert [name for name, _ in allowed.listing(".").folders] == ["2026"]


def test_links_that_stay_inside_are_followed(allowed: AllowedFolders, photos: Path) -> None:
    (photos / "this year").symlink_to("2026")
    assert allowed.find("this year/summer") == photos / "2026" / "summer"
    assert [name for name, _ in allowed.listing(".").folders] == ["2026", "this year"]


def test_an_allowed_folder_may_be_a_link(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(photos)
    allowed = AllowedFolders([tmp_path / "link"])
    for name in (f"{tmp_path}/link/2026", f"{photos}/2026", "2026"):
        assert allowed.find(name) == photos / "2026"


@pytest.mark.parametrize("name", ["no such", "note.txt", "2026/no such/x", "x" * 5000, "\ud800"])
def test_what_is_no_folder_is_told(allowed: AllowedFolders, name: str) -> None:
    with pytest.raises(BadFolder):
        allowed.find(name)


@pytest.mark.parametrize("name", ["", "a\0b", "/etc\0"])
def test_what_is_no_name_is_told(allowed: AllowedFolders, name: str) -> None:
    with pytest.raises(BadFolder):
        allowed.find(name)


def test_without_an_allowed_folder_nothing_is(tmp_path: Path) -> None:
    for ask in (AllowedFolders().find, AllowedFolders().listing):
        with pytest.raises(NotAllowed, match="--allow-indexing"):
            ask(str(tmp_path))
    with pytest.raises(NotAllowed, match="--allow-indexing"):
        AllowedFolders().listing()


def test_what_can_be_chosen(allowed: AllowedFolders, photos: Path, tmp_path: Path) -> None:
    (photos / ".hidden").mkdir()
    (photos / "a").mkdir()
    missing = AllowedFolders([photos, tmp_path / "not mounted"])
    assert missing.listing().folders == [(str(photos), photos)]
    listing = allowed.listing(str(photos))
    assert (listing.below, listing.more) == (photos, False)
    assert listing.folders == [("2026", photos / "2026"), ("a", photos / "a")]
    assert allowed.listing("a").folders == []


def test_long_lists_are_cut(allowed: AllowedFolders, photos: Path) -> None:
    for n in range(MAX_LISTED + 10):
        (photos / "a" / f"{n:04}").mkdir(parents=True)
    listing = allowed.listing("a")
    assert (len(listing.folders), listing.more) == (MAX_LISTED, True)
