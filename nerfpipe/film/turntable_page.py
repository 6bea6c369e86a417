"""The turntable's page, as a jinja2 template. `turntable.page` fills it in."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2 import Template

TEMPLATE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<title>{{ scene }}</title>
<style>
:root { color-scheme: {{ scheme }}; --wide: {{ width }}; --high: {{ height }}; }
body { margin: 0; min-height: 100vh; min-height: 100dvh; display: grid; place-content: center; justify-items: center;
  gap: .9rem; padding: 1rem; box-sizing: border-box; background: {{ paper }}; font: 15px/1.5 system-ui, sans-serif; }
h1 { margin: 0; font-size: 1.1rem; font-weight: 600; overflow-wrap: anywhere; text-align: center; }
canvas, img { width: min(100vw - 2rem, (100vh - 10rem) * var(--wide) / var(--high), var(--wide) * 5px, 720px);
  min-width: 8rem; aspect-ratio: var(--wide) / var(--high); border-radius: 6px; }
canvas { cursor: grab; touch-action: pan-y; user-select: none; -webkit-user-select: none;
  -webkit-touch-callout: none; }
canvas:active { cursor: grabbing; }
:focus-visible { outline: 2px solid #3b82f6; outline-offset: 3px; }
p { margin: 0; font-size: .85rem; opacity: .7; text-align: center; }
button { font: inherit; font-size: .85rem; color: inherit; background: none; border: 1px solid #80808066;
  border-radius: 99px; padding: .35rem 1.1rem; min-width: 5.5rem; min-height: 2.2rem; cursor: pointer; }
button:hover { background: #80808022; }
</style>
</head>
<body>
<h1>{{ scene }}</h1>
<noscript><img src="{{ frames[0] }}" alt="{{ scene }}"></noscript>
<canvas id="view" width="{{ width }}" height="{{ height }}" tabindex="0" role="slider" aria-label="a turn around {{
 scene }}"
 aria-valuemin="0" aria-valuemax="{{ count - 1 }}" aria-valuenow="0"></canvas>
<button id="play" type="button">Play</button>
<p>{{ count }} views of a learned scene. Drag the picture, or use the arrow keys.</p>
<script>
"use strict";
const frames = {{
  frames|tojson(indent=0)
}}.map(source => { const image = new Image(); image.src = source; return image; });
const closed = {{ closed|tojson }}, pause = {{ pause|tojson }};
const GRIP = 2;   // widths of the picture that a hand goes for the whole way
const LEAP = 10;  // frames by page up and down
const view = document.getElementById("view"), play = document.getElementById("play");
const pen = view.getContext("2d");
let at = 0;            // which frame, with a fraction
let ahead = 1;         // which way it plays: an open way is played to and fro
let timer = 0, grip = null;

function within(place) {
  const count = frames.length;
  return closed ? ((place % count) + count) % count : Math.min(Math.max(place, 0), count - 1);
}

function show(place) {
  at = within(place);
  const number = Math.round(at) % frames.length, image = frames[number];
  view.setAttribute("aria-valuenow", number);
  view.setAttribute("aria-valuetext", `view ${number + 1} of ${frames.length}`);
  if (image.complete) pen.drawImage(image, 0, 0, view.width, view.height);
  else image.addEventListener("load", () => show(at), {once: true});
}

function advance() {
  if (!closed && within(Math.round(at) + ahead) === Math.round(at)) ahead = -ahead;
  show(Math.round(at) + ahead);
}

function run(on) {
  clearInterval(timer);
  timer = on ? setInterval(advance, pause) : 0;
  play.textContent = on ? "Pause" : "Play";
}

view.addEventListener("pointerdown", event => {
  if (event.button || grip) return;
  run(false);
  grip = {id: event.pointerId, x: event.clientX, at};
  view.setPointerCapture(event.pointerId);
});
view.addEventListener("pointermove", event => {
  if (!grip || event.pointerId !== grip.id) return;
  show(grip.at + (event.clientX - grip.x) / view.clientWidth / GRIP * frames.length);
});
for (const kind of ["pointerup", "pointercancel", "lostpointercapture"])
  view.addEventListener(kind, event => { if (grip && event.pointerId === grip.id) grip = null; });

view.addEventListener("keydown", event => {
  const steps = {ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: LEAP, PageDown: -LEAP};
  const ends = {Home: 0, End: frames.length - 1};
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key in steps) show(Math.round(at) + steps[event.key]);
  else if (event.key in ends) show(ends[event.key]);
  else if (event.key === " ") { run(!timer); event.preventDefault(); return; }
  else return;
  run(false);
  event.preventDefault();
});
play.addEventListener("click", () => run(!timer));

play.hidden = frames.length < 2;
show(0);
run(frames.length > 1 && !matchMedia("(prefers-reduced-motion: reduce)").matches);
</script>
</body>
</html>
"""


def template() -> Template:
    """The template, ready to render. Raises jinja2.UndefinedError in rendering if a value is missing."""
    from jinja2 import Environment, StrictUndefined  # imported when a page is written, so that no stage waits for it

    return Environment(autoescape=True, undefined=StrictUndefined, keep_trailing_newline=True).from_string(TEMPLATE)
