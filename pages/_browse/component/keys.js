// What keys do, the sheet that lists them, and how a person changes them.

const ACTIONS = {
  accept: ["Accept the verdicts and go on", ["Enter", "Space"]],
  skip: ["Skip this picture", ["s"]],
  previous: ["Previous picture", ["ArrowLeft", "k"]],
  next: ["Next picture", ["ArrowRight", "j"]],
  unfinished: ["Next unfinished picture", ["u"]],
  up: ["Word above", ["ArrowUp"]],
  down: ["Word below", ["ArrowDown"]],
  toggle: ["Chosen word: right or wrong", ["t"]],
  unsure: ["Chosen word: unsure", ["q"]],
  remove: ["Chosen word: remove the mark", ["x"]],
  add: ["Add a word", ["a"]],
  comment: ["Comment on the chosen word", ["c"]],
  box: ["Draw a box for the chosen word", ["b"]],
  overlay: ["Hide or show the boxes", ["h"]],
  undo: ["Undo", ["Ctrl+z"]],
  redo: ["Redo", ["Ctrl+Shift+z", "Ctrl+y"]],
  sheet: ["This sheet", ["?"]],
};
const FIXED = [
  ["1 … 9, 0", "Word 1 … 10: right or wrong"],
  ["Shift with a digit", "That word: unsure"],
];
const KEYS_STORE = "odits-keys";

// Name a key as the sheet shows it; letters do not tell case, except with Ctrl.
const keyOf = (event) => {
  const plain = event.key === " " ? "Space" : event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const ctrl = event.ctrlKey || event.metaKey ? "Ctrl+" : "";
  return `${ctrl}${event.shiftKey && (ctrl || plain.length > 1) ? "Shift+" : ""}${plain}`;
};

const digitOf = (event) => {
  const found = /^(?:Digit|Numpad)(\d)$/.exec(event.code ?? "");
  return found && !event.ctrlKey && !event.metaKey && !event.altKey ? (Number(found[1]) + 9) % 10 : null;
};

class Keys {
  constructor() {
    this.load();
  }

  load() {
    const own = storedJson(localStorage, KEYS_STORE, {});
    this.keys = {};
    for (const [action, [, keys]] of Object.entries(ACTIONS)) {
      const chosen = Array.isArray(own[action]) ? own[action].filter((key) => typeof key === "string") : keys;
      for (const key of chosen) this.keys[key] = action;
    }
  }

  of(action) {
    return Object.keys(this.keys).filter((key) => this.keys[key] === action);
  }

  // Give an action a key of its own; another action that had it loses it.
  set(action, key) {
    const own = Object.fromEntries(Object.keys(ACTIONS).map((one) => [one, this.of(one).filter((k) => k !== key)]));
    own[action] = [key];
    storeJson(localStorage, KEYS_STORE, own);
    this.load();
  }

  reset() {
    try {
      localStorage.removeItem(KEYS_STORE);
    } catch {
      // nothing was stored then
    }
    this.load();
  }
}

const element = (tag, properties = {}, ...children) => {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.includes("-") || name === "role") made.setAttribute(name, value);
    else made[name] = value;
  }
  made.append(...children.filter((child) => child !== null));
  return made;
};

const ARROWS = { ArrowLeft: "←", ArrowRight: "→", ArrowUp: "↑", ArrowDown: "↓" };
const shownKey = (key) => ARROWS[key] ?? key.replace(/(^|\+)([a-z])$/, (_, before, letter) => before + letter.toUpperCase());

// Draw the sheet of keys into a dialog.
const drawSheet = (dialog, keys, redraw) => {
  const rows = Object.entries(ACTIONS).map(([action, [title]]) => {
    const change = element("button", { type: "button", textContent: "Change", className: "quiet" });
    change.setAttribute("aria-label", `Change the key for: ${title}`);
    change.onclick = () => {
      change.textContent = "Press a key …";
      const take = (event) => {
        if (["Shift", "Control", "Alt", "Meta", "Tab"].includes(event.key)) return;
        event.preventDefault();
        event.stopImmediatePropagation();
        change.removeEventListener("keydown", take, true);
        if (event.key !== "Escape" && digitOf(event) === null) keys.set(action, keyOf(event));
        redraw();
      };
      change.addEventListener("keydown", take, true);
      change.focus();
    };
    const shown = keys.of(action).map((key) => element("kbd", { textContent: shownKey(key) }));
    return element("tr", {}, element("td", {}, ...shown), element("td", { textContent: title }), element("td", {}, change));
  });
  const fixed = FIXED.map(([key, title]) =>
    element("tr", {}, element("td", {}, element("kbd", { textContent: key })), element("td", { textContent: title }), element("td")),
  );
  const close = element("button", { type: "button", textContent: "Close" });
  close.onclick = () => dialog.close();
  const reset = element("button", { type: "button", textContent: "Default keys", className: "quiet" });
  reset.onclick = () => {
    keys.reset();
    redraw();
  };
  dialog.replaceChildren(
    element("h2", { textContent: "Keys", id: "sheet-title" }),
    element("table", {}, element("tbody", {}, ...fixed, ...rows)),
    element("p", { className: "buttons" }, reset, close),
  );
  close.focus();
};
