"use strict";

// A browser keeps what was typed with each page of its history, shows it again on Back, and may write it to a file of
// its own. autocomplete="off" would prevent that, and with it that the browser fills in a card it has on file.
// So the fields are emptied when the page is left: a form that was sent has been read by then.
addEventListener("pagehide", () => {
  for (const field of document.querySelectorAll("input[data-card-data]")) {
    field.value = "";
  }
});
