// Makes card fields nicer to type into: digits in groups, whose card it is, and early hints. Nothing typed is refused
// or kept here; what counts is what the server says. The ranges come with the field, from vault/pan.py.

const ONE_NUMBER = /^[\d\s-]*$/;
const FULL_WIDTH = /[\uff10-\uff19]/g;
const FULL_WIDTH_ZERO = 0xff10;

const digitsOf = (text) => text.replace(/\D/g, "");
const withoutFullWidth = (text) => text.replace(FULL_WIDTH, (digit) => digit.charCodeAt(0) - FULL_WIDTH_ZERO);

/** As `brand_and_lengths` in vault/pan.py; a test compares the two. */
export function brandAndLengths(digits, { ranges, lengths }) {
  for (const [first, last, brand, issued] of ranges) {
    const start = digits.slice(0, first.length);
    if (start.length === first.length && first <= start && start <= last) {
      return [brand, issued];
    }
  }
  return ["unknown", lengths];
}

/** As `has_luhn_checksum` in vault/pan.py. */
export function hasLuhnChecksum(digits) {
  const values = [...digits].reverse().map(Number);
  const total = values.reduce((sum, value, index) => sum + (index % 2 ? (value * 2 > 9 ? value * 2 - 9 : value * 2) : value), 0);
  return total % 10 === 0;
}

/** Digits in groups of these sizes, the last of which repeats. */
export function grouped(digits, sizes) {
  const groups = [];
  for (let start = 0; start < digits.length; ) {
    const size = sizes[Math.min(groups.length, sizes.length - 1)];
    groups.push(digits.slice(start, start + size));
    start += size;
  }
  return groups.join(" ");
}

/** What an expiry date is written as while it is typed; `isDeleting` lets the separator go with the digit before it. */
export function writtenExpiry(typed, isDeleting) {
  const iso = /^(20\d\d)-(\d\d)$/.exec(typed);
  if (iso) {
    return `${iso[2]} / ${iso[1].slice(2)}`;
  }
  const parts = /^(\d+)([\s/-]*)(\d*)$/.exec(typed);
  if (!parts) {
    return typed;
  }
  let [, month, separator, year] = parts;
  if (month.length === 1 && (separator || (month > "1" && !isDeleting))) {
    month = `0${month}`;
  } else if (month.length > 2 && !separator) {
    [month, year] = [month.slice(0, 2), month.slice(2)];
  }
  return month.length < 2 || (isDeleting && !year) ? month : `${month} / ${year}`;
}

/** The name of the hint that an expiry date deserves, or nothing. An unfinished one gets none while it is typed. */
export function expiryProblem(text, { today, isFinished }) {
  const [, month = "", year = ""] = /^\s*(\d{1,2})(?:\s*[/-]\s*(\d*))?\s*$/.exec(text) ?? [];
  if ((month.length === 2 || year) && (Number(month) < 1 || Number(month) > 12)) {
    return "hintMonth";
  }
  // "20" may be the beginning of 2029.
  if (!/^(\d{2}|20\d{2})$/.test(year) || (year === "20" && !isFinished)) {
    return isFinished && text.trim() && !/^\s*20\d\d-\d\d\s*$/.test(text) ? "hintInvalid" : "";
  }
  const months = (2000 + (Number(year) % 100)) * 12 + Number(month) - 1;
  return months < today.getFullYear() * 12 + today.getMonth() ? "hintExpired" : "";
}

// A hint that appeared while a button is held down would push the button away from under the pointer.
let isPressed = false;
addEventListener("pointerdown", () => (isPressed = true), true);
for (const end of ["pointerup", "pointercancel"]) {
  addEventListener(end, () => (isPressed = false), true);
}

function afterPress(act) {
  if (isPressed) {
    addEventListener("pointerup", () => setTimeout(act), { once: true });
  } else {
    act();
  }
}

/** A line beside a field that is read out when it changes, and with the field. */
function hintFor(field) {
  const hint = document.createElement("p");
  hint.className = "hint";
  hint.id = `${field.id}_hint`;
  hint.setAttribute("aria-live", "polite");
  field.after(hint);
  const described = field.getAttribute("aria-describedby");
  field.setAttribute("aria-describedby", described ? `${described} ${hint.id}` : hint.id);
  return (name) => {
    const text = name ? field.dataset[name] : "";
    if (hint.textContent !== text) {
      hint.textContent = text;
    }
  };
}

function write(field, text, caret) {
  if (field.value === text) {
    return;
  }
  field.value = text;
  // Elsewhere this would take the focus, in some browsers.
  if (document.activeElement === field) {
    field.setSelectionRange(caret, caret);
  }
}

/** Calls `onInput(inputType)` for what was typed, pasted or filled in, once a composition is over. */
function listen(field, onInput, onLeave) {
  field.addEventListener("input", (event) => {
    if (!event.isComposing) {
      onInput(event.inputType ?? "");
    }
  });
  field.addEventListener("compositionend", () => onInput(""));
  field.addEventListener("change", () => onInput(""));
  field.addEventListener("blur", () => afterPress(onLeave));
  // A page that comes back has been emptied; see card-fields.js.
  addEventListener("pageshow", () => onInput(""));
}

function groupNumber(field) {
  const table = JSON.parse(field.dataset.brands);
  const hint = hintFor(field);
  const shown = document.createElement("span");
  shown.className = "card-brand";
  shown.setAttribute("aria-live", "polite");
  field.after(shown);
  // How many, not which: digits stand in the field alone.
  let count = 0;

  function onInput(inputType) {
    hint("");
    const typed = withoutFullWidth(field.value);
    let digits = digitsOf(typed);
    const [brand] = ONE_NUMBER.test(typed) ? brandAndLengths(digits, table) : ["unknown"];
    const name = table.names[brand] ?? "";
    if (shown.textContent !== name) {
      shown.textContent = name;
      shown.dataset.brand = brand;
    }
    if (!ONE_NUMBER.test(typed)) {
      count = -1;
      return;
    }
    let before = digitsOf(typed.slice(0, field.selectionStart ?? typed.length)).length;
    // Where only a separator was deleted, the digit on its other side was meant.
    if (digits.length === count && /^deleteContent(Back|For)ward$/.test(inputType)) {
      before -= inputType === "deleteContentBackward" ? 1 : 0;
      digits = digits.slice(0, Math.max(before, 0)) + digits.slice(before + 1);
    }
    count = digits.length;
    const text = grouped(digits, table.groups[brand] ?? [4]);
    let caret = 0;
    for (let seen = 0; seen < before; caret += 1) {
      seen += text[caret] === " " ? 0 : 1;
    }
    write(field, text, caret);
  }

  function onLeave() {
    const typed = withoutFullWidth(field.value);
    const digits = digitsOf(typed);
    if (!typed.trim()) {
      hint("");
    } else if (!ONE_NUMBER.test(typed)) {
      hint("hintCharacters");
    } else if (!brandAndLengths(digits, table)[1].includes(digits.length)) {
      hint("hintLength");
    } else {
      hint(hasLuhnChecksum(digits) && /[^0]/.test(digits) ? "" : "hintChecksum");
    }
  }

  listen(field, onInput, onLeave);
}

function spaceExpiry(field) {
  const hint = hintFor(field);
  const say = (isFinished) => hint(expiryProblem(field.value, { today: new Date(), isFinished }));

  function onInput(inputType) {
    // In the middle of the text somebody mends it: it is left alone.
    if (field.selectionStart === field.value.length || document.activeElement !== field) {
      const text = writtenExpiry(withoutFullWidth(field.value), inputType.startsWith("delete"));
      write(field, text, text.length);
    }
    say(false);
  }

  listen(field, onInput, () => say(true));
}

for (const field of document.querySelectorAll("input[data-brands]")) {
  groupNumber(field);
}
for (const field of document.querySelectorAll("input[data-expiry]")) {
  spaceExpiry(field);
}
