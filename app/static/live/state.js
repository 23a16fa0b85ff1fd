/* What the live page knows. */

export const state = {
  token: null,
  kiosk: false,
  sites: null, // the sites that the token may read, once they are known: [{id, domain, name}]
  site: null, // the one that is shown
  answer: null, // its realtime answer
  filtered: null, // its answer by a dimension, of the visitors that the filters keep
  filters: {}, // dimension -> value
  tab: "page",
};

export const isFiltered = () => Object.keys(state.filters).length > 0;
