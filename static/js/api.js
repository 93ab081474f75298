"use strict";

// The description of the API, to read. Nothing is sent from here: a form in which card numbers and tokens are typed would
// be one more place where they may stay.
const place = document.getElementById("api");
const nothing = () => () => null;
const isDark = window.matchMedia("(prefers-color-scheme: dark)");
const follow = () => document.documentElement.classList.toggle("dark-mode", isDark.matches);
follow();
isDark.addEventListener("change", follow);

SwaggerUIBundle({
  url: place.dataset.schema,
  domNode: place,
  presets: [SwaggerUIBundle.presets.apis],
  plugins: [{ wrapComponents: { authorizeBtn: nothing, authorizeOperationBtn: nothing, ServersContainer: nothing } }],
  layout: "BaseLayout",
  supportedSubmitMethods: [],
  persistAuthorization: false,
  queryConfigEnabled: false,
  validatorUrl: null,
  deepLinking: true,
  docExpansion: "list",
  defaultModelRendering: "example",
  defaultModelsExpandDepth: 0,
  syntaxHighlight: { activated: false },
});
