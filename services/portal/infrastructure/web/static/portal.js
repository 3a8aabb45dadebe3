"use strict";

// Times are shown in the reader's own zone; the server writes them in UTC. A formatter is made once,
// and only where a page shows times, because a phone needs a while to make one.
function formatter(options) {
  let made = null;
  return (time) => {
    made ??= new Intl.DateTimeFormat(document.documentElement.lang, options);
    return made.format(new Date(time));
  };
}

const moment = formatter({ dateStyle: "medium", timeStyle: "medium" });
const clock = formatter({ timeStyle: "medium" });

function localTimes(root) {
  for (const time of root.querySelectorAll("time[data-local]")) {
    time.textContent = moment(time.dateTime);
    time.removeAttribute("data-local");
  }
  for (const time of root.querySelectorAll("[data-clock]")) {
    time.textContent = clock(time.dataset.clock);
  }
}

document.addEventListener("DOMContentLoaded", () => localTimes(document));
document.addEventListener("htmx:afterSwap", () => localTimes(document));

// The navigation scrolls sideways on a narrow screen, to the entry of the current page. Where the
// style sheet does so, measuring would only make the browser lay out the page too early.
document.addEventListener("DOMContentLoaded", () => {
  const current = document.querySelector(".nav [aria-current]");
  if (!current || CSS.supports("scroll-initial-target", "nearest")) return;
  const nav = current.parentElement;
  nav.scrollLeft = current.offsetLeft - nav.offsetLeft - (nav.clientWidth - current.offsetWidth) / 2;
});

// A form that is sent twice has one effect, but its button should not allow it.
document.addEventListener("submit", (event) => {
  for (const button of event.target.querySelectorAll("button[data-once]")) {
    setTimeout(() => { button.disabled = true; });
  }
});
window.addEventListener("pageshow", () => {
  for (const button of document.querySelectorAll("button[data-once]")) button.disabled = false;
});

// This shows the time that is left, second by second, which the server has written into the page.
// When the time is over, the panel is fetched again.
const ends = new WeakMap();

setInterval(() => {
  for (const left of document.querySelectorAll("[data-seconds]")) {
    if (!ends.has(left)) ends.set(left, Date.now() + 1000 * left.dataset.seconds);
    const seconds = Math.max(0, Math.round((ends.get(left) - Date.now()) / 1000));
    left.textContent = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
    if (seconds === 0) {
      left.removeAttribute("data-seconds");
      htmx.trigger("#panel", "moved");
    }
  }
}, 1000);

// A button that copies is shown only where scripts run. Where the browser does not let a page copy,
// the text is selected, so that the reader can copy it.
function copyButtons() {
  for (const button of document.querySelectorAll("[data-copy][hidden]")) button.hidden = false;
}

document.addEventListener("DOMContentLoaded", copyButtons);
document.addEventListener("htmx:afterSwap", copyButtons);
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
    document.getElementById("said").textContent = button.dataset.copied;
    button.textContent = button.dataset.copied;
  } catch {
    getSelection().selectAllChildren(button.parentElement.querySelector(".plate__text"));
  }
});

// Each piece of this page, by its id, may have a trouble that prevents its refresh. While one has,
// the page says so, and nothing on it is marked as live.
const troubles = new Map();

function tell(piece, trouble) {
  if (trouble) troubles.set(piece, trouble);
  else troubles.delete(piece);
  const now = [...troubles.values()];
  const worst = ["refused", "away", "failed"].find((each) => now.includes(each));
  const sign = document.getElementById("stale");
  const text = worst ? sign.dataset[worst] : "";
  if (sign.textContent !== text) sign.textContent = text;
  for (const live of document.querySelectorAll(".live")) live.hidden = Boolean(worst);
}

// A piece that refreshes itself does not change when its request fails, and is requested again.
const AGAIN_MILLISECONDS = 3000;

document.addEventListener("htmx:afterRequest", (event) => {
  const { requestConfig, successful, xhr } = event.detail;
  const piece = requestConfig.elt; // the event's `elt` is a parent where the piece was replaced
  if (successful) return tell(piece.id, null);
  if (!piece.matches("[data-kept]")) return tell(piece.id, "failed");
  tell(piece.id, xhr.status >= 400 && xhr.status < 500 ? "refused" : "away");
  if (!piece.matches("[data-hx-trigger*=every]")) {
    setTimeout(() => htmx.trigger(`#${piece.id}`, "moved"), AGAIN_MILLISECONDS);
  }
});

// A piece is not replaced while something in it is pressed, because the browser drops a press whose
// button is gone at the release. The piece is fetched again soon after.
const PRESSED_MILLISECONDS = 300;

document.addEventListener("htmx:beforeSwap", (event) => {
  const { requestConfig, target } = event.detail;
  if (!target.matches("[data-kept]") || !target.querySelector(":active")) return;
  event.detail.shouldSwap = false;
  setTimeout(() => htmx.trigger(`#${requestConfig.elt.id}`, "moved"), PRESSED_MILLISECONDS);
});

// Other requests are for a page, and a page that says what is wrong is shown too.
document.addEventListener("htmx:beforeSwap", (event) => {
  const { elt, xhr } = event.detail;
  const part = elt.getAttribute("data-hx-select");
  if (part && xhr.responseText.includes(`id="${part.slice(1)}"`)) {
    event.detail.shouldSwap = true;
    event.detail.isError = false;
  }
});

// A stream shows a purchase's timeline as it grows. Each event fetches the possible actions again. A
// stream that breaks, or is silent for long, is opened again, later each time. A hidden page closes
// its stream, because a browser has only a few connections to one server.
const SILENCE_MILLISECONDS = 15000;
const PAUSES_MILLISECONDS = [500, 1000, 2000, 5000, 10000];

function follow(page) {
  let events = null;
  let timer = null;
  let failures = 0;
  let finished = false;

  function wait(milliseconds, then) {
    clearTimeout(timer);
    timer = setTimeout(then, milliseconds);
  }

  function heard() {
    wait(SILENCE_MILLISECONDS, lost);
    tell("timeline", null);
    if (failures) htmx.trigger("#panel", "moved");
    failures = 0;
  }

  // The panel's answer says whether the page may still be seen; a stream's refusal has no reason.
  function lost() {
    events.close();
    tell("timeline", "away");
    htmx.trigger("#panel", "moved");
    const pause = PAUSES_MILLISECONDS[Math.min(failures, PAUSES_MILLISECONDS.length - 1)];
    failures += 1;
    wait(pause * (1 + Math.random()), open);
  }

  function open() {
    events = new EventSource(page.dataset.events);
    wait(SILENCE_MILLISECONDS, lost);
    events.addEventListener("open", heard);
    events.addEventListener("error", lost);
    events.addEventListener("still", heard);
    events.addEventListener("timeline", (event) => {
      heard();
      document.getElementById("timeline").innerHTML = event.data;
      localTimes(document.getElementById("timeline"));
      htmx.trigger("#panel", "moved");
    });
    events.addEventListener("finished", () => {
      finished = true;
      clearTimeout(timer);
      events.close();
      for (const sign of page.querySelectorAll(".live")) sign.remove();
      htmx.trigger("#panel", "moved");
    });
  }

  document.addEventListener("visibilitychange", () => {
    if (finished) return;
    clearTimeout(timer);
    events.close();
    if (!document.hidden) open();
  });
  open();
}

document.addEventListener("DOMContentLoaded", () => {
  for (const page of document.querySelectorAll("[data-events]")) follow(page);
});
