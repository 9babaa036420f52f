// What is searched for, as a value; how it stands in the address, and how the server is asked.

// Pulls of refinements and of "without", against the query's own weight of 1: enough to be seen in
// the first row, too little to drown the words.
const WEIGHTS = { like: 1, more: 0.5, less: -0.5 };
const WITHOUT = 0.5;
const KINDS = Object.keys(WEIGHTS);

export const NOTHING = Object.freeze({
  q: "",
  without: "",
  refine: [], // {kind: "like" | "more" | "less", id}
  picture: null, // {key, blob, url}: a picture of the visitor's, which no address can hold
  balance: 0.5, // of words (0) and picture (1)
  categories: [],
  libraries: [],
  minScore: null,
  after: "", // a day, as in 2026-01-31
  before: "",
});

export const asksForSomething = (state) =>
  Boolean(state.q.trim() || state.picture || state.refine.some(({ kind }) => kind !== "less"));

export const countFilters = (state) =>
  state.categories.length +
  state.libraries.length +
  (state.minScore !== null ? 1 : 0) +
  (state.after ? 1 : 0) +
  (state.before ? 1 : 0);

export const withoutFilters = (state) => ({
  ...state,
  categories: [],
  libraries: [],
  minScore: null,
  after: "",
  before: "",
});

/** The state that an address asks for, and the picture that it shows large. */
export function fromAddress(search) {
  const given = new URLSearchParams(search);
  const day = (name) => (/^\d{4}-\d{2}-\d{2}$/.test(given.get(name) ?? "") ? given.get(name) : "");
  const number = (name, low, high) => {
    const value = parseFloat(given.get(name));
    return value >= low && value <= high ? value : null;
  };
  return {
    ...NOTHING,
    q: given.get("q") ?? "",
    without: given.get("without") ?? "",
    refine: KINDS.flatMap((kind) =>
      given.getAll(kind).filter((id) => /^\d+$/.test(id)).map((id) => ({ kind, id })),
    ),
    balance: number("balance", 0.1, 0.9) ?? NOTHING.balance,
    categories: given.getAll("category"),
    libraries: given.getAll("library"),
    minScore: number("min", -1, 1),
    after: day("after"),
    before: day("before"),
  };
}

/** The address of a state, from the question mark on; "./" for the page's beginning. */
export function toAddress(state, { show = null, view = null } = {}) {
  const given = new URLSearchParams();
  const add = (name, value) => value && given.append(name, value);
  if (view) add("view", view);
  add("q", state.q.trim());
  add("without", state.without.trim());
  state.refine.forEach(({ kind, id }) => given.append(kind, id));
  if (state.picture && state.q.trim() && state.balance !== NOTHING.balance) {
    add("balance", String(state.balance));
  }
  state.categories.forEach((name) => given.append("category", name));
  state.libraries.forEach((name) => given.append("library", name));
  if (state.minScore !== null) given.append("min", String(state.minScore));
  add("after", state.after);
  add("before", state.before);
  add("show", show);
  const text = given.toString();
  return text ? `?${text}` : "./";
}

/** Names a search among those of this visit: its address, and the picture that is not in it. */
export const keyOf = (state) => `${toAddress(state)} ${state.picture?.key ?? ""} ${state.balance}`;

const startOfDay = (day, plus = 0) => {
  const [year, month, date] = day.split("-").map(Number);
  return new Date(year, month - 1, date + plus).toISOString();
};

/** The body of POST /api/search. */
export function toQuery(state, { topK, offset }) {
  const words = state.picture ? (1 - state.balance) / state.balance : 1;
  const terms = [];
  if (state.q.trim()) terms.push({ text: state.q.trim(), weight: words });
  if (state.without.trim()) {
    terms.push({ text: state.without.trim(), weight: -WITHOUT * Math.min(words, 1) });
  }
  for (const { kind, id } of state.refine) terms.push({ id, weight: WEIGHTS[kind] });
  const filter = { categories: state.categories, libraries: state.libraries };
  if (state.after) filter.after = startOfDay(state.after);
  if (state.before) filter.before = startOfDay(state.before, 1); // that day included
  const query = { terms, filter, top_k: topK, offset };
  if (state.minScore !== null) query.min_score = state.minScore;
  return query;
}
