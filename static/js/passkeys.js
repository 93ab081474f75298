// Ties allauth's scripts for passkeys to the form of this page, and says on the page what they would only log.
"use strict";

(() => {
  const page = document.getElementById("passkeys").dataset;
  const button = document.getElementById(page.button);
  const sentences = { NotAllowedError: page.stopped, AbortError: page.stopped, SecurityError: page.address, InvalidStateError: page.known };

  function place() {
    const there = document.getElementById("passkey_problem");
    if (there) return there;
    const made = document.createElement("p");
    made.id = "passkey_problem";
    made.className = "alert";
    made.setAttribute("role", "alert");
    document.querySelector("main h1").after(made);
    return made;
  }

  document.addEventListener("allauth.error", (event) => {
    const problem = place();
    problem.hidden = false;
    problem.textContent = sentences[event.detail.exception.name] || page.failed;
    event.preventDefault();
  });

  if (!window.PublicKeyCredential) return;
  button.hidden = false;
  window.allauth.webauthn.forms[`${page.kind}Form`]({
    ids: { [page.kind]: page.button, credential: page.credential, passwordless: page.passwordless, data: "js_data" },
  });
})();
