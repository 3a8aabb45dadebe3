"use strict";

// Times in the reader's own zone; the server writes them in UTC.
function localTimes(root) {
  const shown = new Intl.DateTimeFormat(document.documentElement.lang, {
    dateStyle: "medium",
    timeStyle: "medium",
  });
  for (const time of root.querySelectorAll("time[data-local]")) {
    time.textContent = shown.format(new Date(time.dateTime));
    time.removeAttribute("data-local");
  }
}

document.addEventListener("DOMContentLoaded", () => localTimes(document));
document.addEventListener("htmx:afterSwap", () => localTimes(document));

// Submitting twice is harmless, but looks careless.
document.addEventListener("submit", (event) => {
  for (const button of event.target.querySelectorAll("button[data-once]")) {
    setTimeout(() => { button.disabled = true; });
  }
});
window.addEventListener("pageshow", () => {
  for (const button of document.querySelectorAll("button[data-once]")) button.disabled = false;
});

// A purchase's timeline as it grows; what can be done is fetched again with each event. A page
// nobody looks at lets go of its stream: a browser has only a few connections to one server.
function follow(page) {
  let events = null;
  let finished = false;

  function open() {
    events = new EventSource(page.dataset.events);
    events.addEventListener("timeline", (event) => {
      document.getElementById("timeline").innerHTML = event.data;
      htmx.trigger("#panel", "moved");
    });
    events.addEventListener("finished", () => {
      finished = true;
      events.close();
      for (const sign of page.querySelectorAll(".live")) sign.hidden = true;
      htmx.trigger("#panel", "moved");
    });
  }

  document.addEventListener("visibilitychange", () => {
    if (finished) return;
    events.close();
    if (!document.hidden) open();
  });
  open();
}

document.addEventListener("DOMContentLoaded", () => {
  for (const page of document.querySelectorAll("[data-events]")) follow(page);
});
