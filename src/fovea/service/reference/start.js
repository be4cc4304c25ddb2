// Shows /openapi.json with Swagger UI; a key that was typed in stays in this browser's session.
window.ui = SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#reference",
  deepLinking: true,
  displayRequestDuration: true,
  validatorUrl: null,
});
