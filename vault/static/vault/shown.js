"use strict";

// The number leaves the page, and not just the view: after 30 seconds, with the page, and when another tab covers it.
// Without JavaScript the Refresh header of the answer leaves the page after the same time.
const SECONDS = 30;
const end = Date.now() + SECONDS * 1000;

function hide() {
  clearInterval(timer);
  document.getElementById("vault-number")?.remove();
  document.getElementById("vault-left")?.remove();
  document.getElementById("vault-hidden").hidden = false;
}

function hideWithTab() {
  if (document.visibilityState === "hidden") {
    hide();
  }
}

function tick() {
  const left = Math.ceil((end - Date.now()) / 1000);
  if (left <= 0) {
    hide();
  } else {
    document.getElementById("vault-seconds").textContent = String(left);
  }
}

const timer = setInterval(tick, 250);
addEventListener("pagehide", hide);
document.addEventListener("visibilitychange", hideWithTab);
// The tab may have been covered before this ran.
hideWithTab();
