// Loads the page's module. Where that is impossible, says so in the place of the application.
import init from "./page.js";

init().catch((error) => {
  const place = document.getElementById("boot");
  if (place) {
    place.setAttribute("role", "alert");
    place.textContent =
      `Footnote could not start here: ${error}. ` +
      "Use a current Chrome, Edge, Firefox or Safari, or reload the page if the connection broke.";
  }
});
