"use strict";

// What works once is sent once: of two clicks the browser would show the second answer, which says that it was used up.
for (const form of document.querySelectorAll("form[data-once]")) {
  let isSent = false;
  form.addEventListener("submit", (event) => {
    if (isSent) {
      event.preventDefault();
    }
    isSent = true;
  });
  addEventListener("pageshow", () => {
    isSent = false;
  });
}
