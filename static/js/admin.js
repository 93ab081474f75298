"use strict";

// Django's script for two lists side by side explains itself in a name that an element without a role cannot have.
addEventListener("load", () => {
  for (const tip of document.querySelectorAll(".help-tooltip[aria-label]")) {
    tip.setAttribute("role", "img");
  }
});
