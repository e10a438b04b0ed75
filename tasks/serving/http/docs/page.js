"use strict";
// Reads the service's description, with an API key where it wants one, which this page alone keeps, as long as it is open.
const form = document.getElementById("key-form");
let key = "";

function withKey(request) {
  if (key) request.headers["X-API-Key"] = key;
  return request;
}

async function show() {
  const answer = await fetch("openapi.json", withKey({ headers: {} }));
  if (answer.status === 401) {
    document.getElementById("refused").textContent = key ? "This is none of the service's keys." : "";
    form.hidden = false;
    return;
  }
  form.hidden = true;
  if (!answer.ok) {
    document.getElementById("paths").textContent = `The service does not describe itself: openapi.json gave HTTP ${answer.status}.`;
    return;
  }
  const spec = await answer.json();
  document.title = spec.info.title;
  SwaggerUIBundle({
    spec, dom_id: "#paths", requestInterceptor: withKey, tryItOutEnabled: true, defaultModelsExpandDepth: -1, validatorUrl: null,
  });
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  key = document.getElementById("key").value.trim();
  show();
});
show();
