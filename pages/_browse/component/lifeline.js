// Lets the annotating view ask for a run of the whole page: see keep_alive in annotate.py.

export default function ({ setStateValue }) {
  window.oditsRunPage = () => setStateValue("called", Date.now());
  return () => delete window.oditsRunPage;
}
