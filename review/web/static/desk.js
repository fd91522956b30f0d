// Small comforts. Everything works without this file.
"use strict";

// Choose all rows of a table at once.
for (const all of document.querySelectorAll("input[data-all]")) {
  all.hidden = false;
  all.addEventListener("change", () => {
    for (const one of document.querySelectorAll(`input[name="${all.dataset.all}"]`)) one.checked = all.checked;
  });
}

// A page of something that is under way looks again by itself while it is visible.
const again = document.querySelector("[data-again]");
if (again) {
  setInterval(() => { if (!document.hidden && !document.querySelector("form :focus")) location.reload(); }, Number(again.dataset.again) * 1000);
}

// A form is sent once, however often its button is pressed.
for (const form of document.querySelectorAll("form[method=post]")) {
  form.addEventListener("submit", (event) => {
    if (form.dataset.sent) { event.preventDefault(); return; }
    form.dataset.sent = "yes";
    setTimeout(() => { delete form.dataset.sent; }, 4000);
  });
}

// Fields that belong to one choice are shown with it.
for (const chooser of document.querySelectorAll("select[data-shows]")) {
  const show = () => {
    for (const part of document.querySelectorAll(`[data-of="${chooser.dataset.shows}"]`)) {
      part.hidden = !part.dataset.when.split(" ").includes(chooser.value);
    }
  };
  chooser.addEventListener("change", show);
  show();
}
