// The component's entry: Streamlit calls it with new data each time; what is held here outlives that.

export default function (component) {
  const { data, parentElement, setStateValue } = component;
  let root = parentElement.querySelector(".annotate");
  if (!root) {
    root = element("div", { className: "annotate" });
    parentElement.append(root);
  }
  const annotator = (root.annotator ??= new Annotator(root));
  annotator.take(data, (sent) => setStateValue("sent", sent));

  const isField = (target) => target.isContentEditable || ["INPUT", "TEXTAREA", "SELECT"].includes(target.tagName);
  const onKey = (event) => {
    const path = event.composedPath();
    const target = path[0] ?? event.target;
    if (event.altKey || event.isComposing || isField(target) || annotator.view.dialog.open) return;
    const outside = !path.includes(root);
    if (outside && document.querySelector('[role="listbox"]')) return;
    const presses = ["Enter", " "].includes(event.key);
    // whoever tabbed to a button presses that button
    if (presses && (target.tagName === "BUTTON" || target.tagName === "A" || target.getAttribute?.("role") === "button")) return;
    const digit = digitOf(event);
    const action = annotator.keys.keys[keyOf(event)];
    if (digit === null && !action && event.key !== "Escape") return;
    if (event.key === "Escape" && !annotator.view.drawing) return;
    event.preventDefault(); // before Streamlit's own keys see it, and before the page scrolls
    event.stopImmediatePropagation();
    if (event.key === "Escape") annotator.view.drawing = false;
    else if (digit === null) return annotator.act(action);
    else if (event.shiftKey) annotator.judge(digit, "unsure");
    else annotator.toggle(digit);
    annotator.view.draw();
  };
  const onStorage = (event) => {
    if (!event.key?.startsWith(annotator.outbox.prefix)) return;
    annotator.outbox.reload();
    annotator.view.draw();
  };
  // Streamlit covers the page while its server is away; here one goes on, and the line below the picture says it
  const observer = new MutationObserver(() => {
    const dialog = document.querySelector('body > [data-testid="stDialog"]');
    if (dialog?.textContent.startsWith("Connection error")) dialog.querySelector("button")?.click();
  });
  observer.observe(document.body, { childList: true });
  document.addEventListener("keydown", onKey, true);
  window.addEventListener("storage", onStorage);
  const timer = setInterval(() => annotator.tick(), 1000);
  return () => {
    document.removeEventListener("keydown", onKey, true);
    window.removeEventListener("storage", onStorage);
    observer.disconnect();
    clearInterval(timer);
  };
}
