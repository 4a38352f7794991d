// The chosen theme is set before anything is drawn. Without a choice, or where the
// browser keeps nothing, the system's is used.
(() => {
  "use strict";
  const root = document.documentElement;
  const known = ["light", "dark"];

  const stored = () => {
    try {
      return localStorage.getItem("keyhole-theme");
    } catch {
      return null;
    }
  };

  const use = (name) => {
    if (known.includes(name)) {
      root.dataset.theme = name;
    } else {
      delete root.dataset.theme;
    }
  };

  use(stored());
  document.addEventListener("DOMContentLoaded", () => {
    const choice = document.getElementById("theme");
    choice.value = root.dataset.theme ?? "auto";
    choice.addEventListener("change", () => {
      use(choice.value);
      try {
        localStorage.setItem("keyhole-theme", choice.value);
      } catch {
        // it lasts until the page is left
      }
    });
  });
})();
