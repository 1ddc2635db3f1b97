// Live values: the page as it was sent, kept up to date through server-sent events. Without this script the page
// stays as it was sent, with its times; nothing here computes a value.
"use strict";
(() => {
  const page = document.getElementById("live");
  if (!page || !window.EventSource) return;
  const words = JSON.parse(page.dataset.words);
  const line = document.getElementById("line");
  const said = document.getElementById("said");
  const cards = new Map();
  for (const card of page.querySelectorAll("[data-point]")) {
    const { agent, point, age, lastAge, stale, quality } = card.dataset, now = performance.now();
    cards.set(`${agent}/${point}`, {
      card, letter: quality, isStale: card.classList.contains("stale"), stale: Number(stale),
      at: age === undefined ? null : now - age, lastAt: lastAge === undefined ? null : now - lastAge,
    });
  }
  const SILENT_MS = 60000; // the server sends the whole site at least every 45 s
  let source = null, heard = 0, state = "", retry = 0, announced = 0;
  const toSay = [];

  const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name]);
  const ago = (ms) => {
    const s = Math.max(0, Math.floor(ms / 1000));
    for (const [unit, size, below] of [["s", 1, 90], ["min", 60, 5400], ["h", 3600, 172800]])
      if (s < below) return fill(words[`ago.${unit}`], { n: Math.floor(s / size) });
    return fill(words["ago.d"], { n: Math.floor(s / 86400) });
  };
  const grouped = (value) => {
    const [whole, rest] = value.split(".");
    const digits = whole.replace(/\B(?=(\d{3})+(?!\d))/g, "\u202f").replace("-", "\u2212");
    return rest === undefined ? digits : `${digits}.${rest}`;
  };
  const quality = (reading) => {
    if (reading.quality !== "M") return words[`quality.${reading.quality}`];
    const code = reading.fate.startsWith("exception-") ? reading.fate.slice(10) : null;
    const reason = code === null ? words[`fate.${reading.fate}`] || reading.fate : fill(words["fate.exception"], { code });
    return fill(words["quality.M"], { reason });
  };
  const put = (element, text) => { if (element.textContent !== text) element.textContent = text; };

  function show(reading) {
    const one = cards.get(`${reading.agent}/${reading.point}`);
    if (!one) return false;
    const { card } = one, now = performance.now(), value = card.querySelector(".value");
    one.at = now - reading.age_ms;
    one.lastAt = reading.last ? now - reading.last.age_ms : null;
    one.stale = reading.stale_after_ms;
    const text = reading.value === null ? "\u2013" : grouped(reading.value);
    if (value.textContent !== text) {
      value.textContent = text;
      value.classList.remove("changed");
      void value.offsetWidth; // lets the mark of a change begin anew
      value.classList.add("changed");
    }
    card.classList.toggle("live", reading.live);
    card.classList.toggle("missing", reading.value === null);
    const meaning = card.querySelector(".meaning");
    if (meaning) put(meaning, reading.state === null ? "" : words[`state.${reading.state}`]);
    put(card.querySelector(".letter"), reading.quality);
    put(card.querySelector(".says"), quality(reading));
    card.querySelector(".quality").className = `quality ${reading.quality}`;
    const held = card.querySelector(".held");
    held.hidden = !reading.last;
    if (reading.last) put(held.querySelector(".held-value"), grouped(reading.last.value));
    if (one.letter !== reading.quality) {
      one.letter = reading.quality;
      toSay.push(`${card.dataset.name}: ${quality(reading)}`);
    }
    return true;
  }

  function tick() {
    const now = performance.now();
    for (const one of cards.values()) {
      if (one.at === null) continue;
      put(one.card.querySelector(".age"), ago(now - one.at));
      if (one.lastAt !== null) put(one.card.querySelector(".held-age"), ago(now - one.lastAt));
      const stale = now - one.at > one.stale;
      if (stale !== one.isStale) {
        one.isStale = stale;
        one.card.classList.toggle("stale", stale);
        one.card.querySelector(".old").hidden = !stale;
      }
    }
    if ((state === "open" || state === "waiting") && now - heard > SILENT_MS) {
      tell("lost");
      begin();
    }
    if (toSay.length && now - announced > 10000) { // politely: seldom, and the newest few at once
      announced = now;
      said.textContent = toSay.splice(0).slice(-5).join("; ");
    }
  }

  function tell(next) {
    if (state === next) return;
    state = next;
    page.classList.toggle("lost", next === "lost" || next === "ended");
    line.className = `line ${next}`;
    line.textContent = fill(words[`line.${next}`], { time: new Date().toLocaleTimeString(document.documentElement.lang) });
  }

  function begin() {
    clearTimeout(retry);
    if (source) source.close();
    heard = performance.now();
    source = new EventSource(page.dataset.events);
    source.addEventListener("site", (message) => hear(message, true));
    source.addEventListener("values", (message) => hear(message, false));
    source.onerror = () => {
      const over = source.readyState === EventSource.CLOSED; // signed out, too many pages, or no such site any more
      tell(over ? "ended" : "lost");
      if (over) retry = setTimeout(begin, 30000);
    };
  }

  function hear(message, whole) {
    heard = performance.now();
    const data = JSON.parse(message.data);
    const unknown = data.readings.filter((reading) => !show(reading));
    if (whole && unknown.length && Date.now() - Number(sessionStorage.getItem("live-reloaded")) > 60000) {
      sessionStorage.setItem("live-reloaded", Date.now());
      location.reload(); // another plan, with other points
    }
    tell(page.querySelector(".reading.live") ? "open" : "waiting"); // connected to the collector is not yet live
    tick();
  }

  begin();
  setInterval(tick, 1000);
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) { clearTimeout(retry); source.close(); tell("paused"); } else begin();
  });
})();
