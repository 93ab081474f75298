"use strict";

// After a refused form one goes on where something is wrong. Without JavaScript the list above the form leads there.
document.querySelector("main [aria-invalid='true']")?.focus();
