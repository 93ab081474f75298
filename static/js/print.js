// A button that prints the page. Without this script it stays hidden, and a sentence says what to do instead.
"use strict";

for (const button of document.querySelectorAll("[data-print]")) {
  button.addEventListener("click", () => window.print());
  button.hidden = false;
}
for (const sentence of document.querySelectorAll("[data-print-without]")) {
  sentence.hidden = true;
}
