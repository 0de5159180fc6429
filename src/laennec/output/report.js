// The player of a report: sound, cursor, loops, zoom, evidence. Everything it needs stands in the page.
"use strict";
(() => {
  const STEP_S = 1, FINE_STEP_S = 0.1, NARROWEST_S = 2;
  const sections = [...document.querySelectorAll("section.channel")];
  const sounds = [...document.querySelectorAll("audio")];
  const soundOf = (section) => document.getElementById(section.dataset.audio);
  const durationOf = (section) => Number(section.dataset.duration);
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  let current = sections[0]; // what the keyboard acts on
  let loop = null; // {number, start, end, sound}
  let chosen = null; // number of an event

  const span = (number) => document.querySelector(`.lane button[data-event="${number}"]`);

  function show(section) {
    const sound = soundOf(section);
    if (!sound) return;
    const now = sound.currentTime, whole = durationOf(section);
    const cursor = section.querySelector(".cursor");
    cursor.hidden = false;
    cursor.style.left = `${Math.min(100, (100 * now) / whole)}%`;
    section.querySelector(".clock").textContent = `${now.toFixed(1)} of ${whole.toFixed(1)} s`;
    section.querySelector(".play").textContent = sound.paused ? "Play" : "Pause";
    const slider = section.querySelector(".seek");
    slider.setAttribute("aria-valuenow", now.toFixed(1));
    slider.setAttribute("aria-valuetext", `${now.toFixed(1)} seconds`);
    if (!sound.paused) follow(section, now / whole);
  }

  function follow(section, share) { // keeps the cursor in sight of a zoomed picture
    const scroll = section.querySelector(".scroll"), x = share * scroll.scrollWidth;
    if (x < scroll.scrollLeft || x > scroll.scrollLeft + scroll.clientWidth) scroll.scrollLeft = x - scroll.clientWidth / 10;
  }

  function update(sound) {
    if (loop && loop.sound === sound && !sound.seeking && (sound.currentTime >= loop.end || sound.currentTime < loop.start - 0.05)) {
      sound.currentTime = loop.start;
    }
    sections.filter((section) => soundOf(section) === sound).forEach(show);
  }

  function tick(sound) { // timeupdate comes four times a second: too seldom for a cursor or a short loop
    update(sound);
    if (!sound.paused) requestAnimationFrame(() => tick(sound));
  }

  function play(section) {
    const sound = soundOf(section);
    if (!sound) return;
    sounds.filter((other) => other !== sound).forEach((other) => other.pause());
    if (loop && loop.sound !== sound) stopLoop();
    sound.play().catch((error) => say(section, `The browser does not play: ${error.message}`));
  }

  function toggle(section) {
    const sound = soundOf(section);
    current = section;
    if (sound && !sound.paused) sound.pause();
    else play(section);
  }

  function seek(section, time) {
    const sound = soundOf(section);
    current = section;
    if (!sound) return;
    const to = Math.max(0, Math.min(time, durationOf(section) - 0.01));
    if (loop && loop.sound === sound && (to < loop.start || to >= loop.end)) stopLoop();
    sound.currentTime = to;
    update(sound);
  }

  function say(section, words) {
    section.querySelector(".status").textContent = words;
  }

  function choose(number) {
    chosen = number;
    all(".selected").forEach((element) => element.classList.remove("selected"));
    all(`[data-event="${number}"]`).forEach((element) => element.classList.add("selected"));
    evidence();
  }

  function evidence() {
    all(".relevance").forEach((map) => {
      const box = map.closest("section").querySelector(".evidence");
      map.hidden = map.dataset.event !== chosen || !box.checked;
    });
  }

  function press(number, pressed) {
    all(`button[data-event="${number}"], tr[data-event="${number}"] button`).forEach((button) => {
      button.setAttribute("aria-pressed", String(pressed));
    });
  }

  function stopLoop() {
    if (!loop) return;
    press(loop.number, false);
    loop = null;
    sections.forEach((section) => say(section, ""));
    all(".stop").forEach((button) => { button.disabled = true; });
  }

  function startLoop(number) {
    const box = span(number), section = box.closest("section"), sound = soundOf(section);
    const again = loop && loop.number === number;
    stopLoop();
    choose(number);
    if (again) return;
    current = section;
    say(section, box.getAttribute("aria-label"));
    if (!sound) return;
    loop = { number, start: Number(box.dataset.start), end: Math.min(Number(box.dataset.end), durationOf(section)), sound };
    press(number, true);
    say(section, `Loops: ${box.getAttribute("aria-label")}`);
    section.querySelector(".stop").disabled = false;
    sound.currentTime = loop.start;
    follow(section, loop.start / durationOf(section));
    update(sound);
    play(section);
  }

  function slow(pressed) {
    sounds.forEach((sound) => {
      sound.preservesPitch = sound.mozPreservesPitch = sound.webkitPreservesPitch = true;
      sound.defaultPlaybackRate = sound.playbackRate = pressed ? 0.5 : 1;
    });
    all(".slow").forEach((button) => button.setAttribute("aria-pressed", String(pressed)));
  }

  function zoom(section, factor) {
    const track = section.querySelector(".track"), scroll = section.querySelector(".scroll");
    const sound = soundOf(section), whole = durationOf(section);
    const before = Number(track.style.getPropertyValue("--zoom") || 1);
    const after = Math.max(1, Math.min(before * factor, Math.max(1, whole / NARROWEST_S)));
    const middle = (scroll.scrollLeft + scroll.clientWidth / 2) / scroll.scrollWidth;
    const box = chosen && section.querySelector(`.lane button[data-event="${chosen}"]`);
    const aim = box ? (Number(box.dataset.start) + Number(box.dataset.end)) / 2 / whole
      : sound && sound.currentTime > 0 ? sound.currentTime / whole : middle;
    track.style.setProperty("--zoom", String(after));
    scroll.scrollLeft = aim * scroll.scrollWidth - scroll.clientWidth / 2;
    ticks(section, whole, scroll.scrollWidth);
    section.querySelector(".out").disabled = after === 1;
    section.querySelector(".in").disabled = after >= whole / NARROWEST_S;
  }

  function ticks(section, whole, width) {
    const least = (55 * whole) / width; // seconds that leave room for a number
    let step = 0.001;
    for (let k = 0; step < least; k += 1) step = [1, 2, 5][k % 3] * 10 ** (Math.floor(k / 3) - 3);
    const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
    const marks = [];
    for (let k = 0; k * step < whole - 0.7 * least; k += 1) {
      const mark = document.createElement("span");
      mark.style.left = `${(100 * k * step) / whole}%`;
      mark.textContent = k ? (k * step).toFixed(digits) : "0 s";
      marks.push(mark);
    }
    section.querySelector(".times").replaceChildren(...marks);
  }

  function timeAt(section, event) {
    const area = section.querySelector(".seek").getBoundingClientRect();
    return ((event.clientX - area.left) / area.width) * durationOf(section);
  }

  function onClick(event) {
    const button = event.target.closest("button");
    const section = event.target.closest("section.channel");
    if (!button) {
      if (section && event.target.closest(".seek")) seek(section, timeAt(section, event));
      return;
    }
    const kind = button.classList;
    if (kind.contains("event")) startLoop(button.dataset.event);
    else if (kind.contains("loop")) startLoop(button.closest("tr").dataset.event);
    else if (kind.contains("play")) toggle(section);
    else if (kind.contains("slow")) slow(button.getAttribute("aria-pressed") !== "true");
    else if (kind.contains("stop")) stopLoop();
    else if (kind.contains("in")) zoom(section, 2);
    else if (kind.contains("out")) zoom(section, 0.5);
    if (event.detail > 0) button.blur(); // after a mouse's click, space is to play again, not to click again
  }

  function onKey(event) {
    if (!current || event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    const within = (selector) => event.target instanceof Element && event.target.closest(selector);
    const sound = soundOf(current), step = event.shiftKey ? FINE_STEP_S : STEP_S;
    if (event.key === "Escape") stopLoop();
    else if (!sound) return;
    else if (event.key === " " && !within("button, input, audio")) toggle(current);
    else if (event.key === "ArrowLeft" && !within(".wide, input, audio")) seek(current, sound.currentTime - step);
    else if (event.key === "ArrowRight" && !within(".wide, input, audio")) seek(current, sound.currentTime + step);
    else if (event.key === "Home" && within(".seek")) seek(current, 0);
    else if (event.key === "End" && within(".seek")) seek(current, Infinity);
    else return;
    event.preventDefault();
  }

  document.documentElement.classList.add("js");
  sounds.forEach((sound) => {
    sound.controls = false;
    sound.addEventListener("play", () => tick(sound));
    ["pause", "timeupdate", "seeked", "loadedmetadata"].forEach((kind) => sound.addEventListener(kind, () => update(sound)));
    sound.addEventListener("ended", () => {
      if (!loop || loop.sound !== sound) return;
      sound.currentTime = loop.start;
      sound.play();
    });
  });
  sections.forEach((section) => {
    section.querySelector(".tools").hidden = false;
    section.querySelector(".out").disabled = true;
    const box = section.querySelector(".evidence");
    if (box) box.addEventListener("change", evidence);
    if (!soundOf(section)) return;
    const area = section.querySelector(".seek");
    const attributes = { tabindex: "0", role: "slider", "aria-label": "Position in the sound", "aria-valuemin": "0", "aria-valuemax": section.dataset.duration };
    Object.entries(attributes).forEach(([name, value]) => area.setAttribute(name, value));
    area.addEventListener("focus", () => { current = section; });
    show(section);
  });
  document.addEventListener("click", onClick);
  document.addEventListener("keydown", onKey);
})();
