// Runs before the page is painted, so that the chosen theme does not flash.
(function () {
  "use strict";
  try {
    var theme = localStorage.getItem("theme");
    if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  } catch (error) {
    // Without storage the system's preference holds.
  }
})();
