// What the figures are made of: a drawing that follows the width of the page, handles for mouse, finger and keyboard,
// sliders and choices below it, and a line of text that tells what is seen.

const NAMESPACE = "http://www.w3.org/2000/svg";

/** An SVG element. */
export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS(NAMESPACE, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** An HTML element. */
export function html(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

export const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

/** A number with a fixed number of digits and a true minus, never "-0.00". */
export function digits(value, count = 2) {
  const text = value.toFixed(count);
  return Number(text) === 0 ? (0).toFixed(count) : text.replace("-", "\u2212");
}

/**
 * A drawing in `place`, as wide as the page lets it be.
 *
 * @param place    the element to fill
 * @param height   from the width in pixels, the height
 * @param draw     called with (layer, width, height) at each change; fills the layer, an SVG group
 * @param state    what the figure shows, as plain numbers; published for tests as `data-state` of the figure
 * @param tell     optional; the text below, from the state, or an element such as a table
 */
export function stage(place, { height, draw, state, tell }) {
  const layer = svg("g");
  const handles = svg("g");
  const root = svg("svg", { class: "touch-drawing" }, layer, handles);
  const text = html("output", { class: "touch-text", "aria-live": "polite" });
  const controls = html("div", { class: "touch-controls" });
  place.append(root, controls);
  if (tell) place.append(text);

  const placed = [];
  let width = 0;

  function redraw() {
    if (!width) return;
    const tall = height(width);
    root.setAttribute("viewBox", `0 0 ${width} ${tall}`);
    root.setAttribute("height", tall);
    layer.replaceChildren();
    draw(layer, width, tall);
    for (const put of placed) put();
    if (tell) text.replaceChildren(tell());
    place.closest("figure").dataset.state = JSON.stringify(state);
  }

  new ResizeObserver(() => {
    const now = Math.round(place.clientWidth);
    if (now !== width) {
      width = now;
      redraw();
    }
  }).observe(place);

  /**
   * A handle. `at()` gives its position in the drawing; `move(x, y)` takes it to a position in the drawing;
   * `nudge(dx, dy)` moves it by so many steps, by arrow keys (ten steps with shift); `say()` is what a screen reader says;
   * while `shown()` is false the handle is not there.
   */
  function handle({ label, at, move, nudge, say, kind = "", radius = 9, shown = () => true }) {
    const spot = svg("circle", { r: radius, class: `touch-handle ${kind}` });
    const halo = svg("circle", { r: 22, class: "touch-halo" });
    const group = svg("g", { tabindex: 0, role: "slider", "aria-label": label, class: "touch-grip" }, halo, spot);
    handles.append(group);

    placed.push(() => {
      group.style.display = shown() ? "" : "none";
      const [x, y] = at();
      group.setAttribute("transform", `translate(${x} ${y})`);
      group.setAttribute("aria-valuetext", say());
    });

    let held = null;
    group.addEventListener("pointerdown", (event) => {
      const [x, y] = at();
      const box = root.getBoundingClientRect();
      held = [x - (event.clientX - box.left), y - (event.clientY - box.top)];
      group.setPointerCapture(event.pointerId);
      group.focus({ preventScroll: true });
      event.preventDefault();
    });
    group.addEventListener("pointermove", (event) => {
      if (!held) return;
      const box = root.getBoundingClientRect();
      move(event.clientX - box.left + held[0], event.clientY - box.top + held[1]);
      redraw();
    });
    for (const end of ["pointerup", "pointercancel"]) group.addEventListener(end, () => (held = null));
    group.addEventListener("keydown", (event) => {
      const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
      if (!steps) return;
      const size = event.shiftKey ? 10 : 1;
      nudge(steps[0] * size, steps[1] * size);
      redraw();
      event.preventDefault();
    });
    return group;
  }

  /** A slider below the drawing, for `state[name]`. */
  function slider(name, { label, min, max, step, show = (value) => digits(value), change = () => {} }) {
    const input = html("input", { type: "range", min, max, step, "data-name": name, "aria-label": label });
    const value = html("span", { class: "touch-value" });
    controls.append(html("label", { class: "touch-slider" }, html("span", {}, label), input, value));
    placed.push(() => {
      input.value = state[name];
      value.textContent = show(state[name]);
    });
    input.addEventListener("input", () => {
      state[name] = Number(input.value);
      change();
      redraw();
    });
    return input;
  }

  /** One of several, for `state[name]`; `options` maps values to what is read on them. */
  function choice(name, options, change = () => {}) {
    const group = html("div", { class: "touch-choice", role: "group" });
    for (const [value, label] of Object.entries(options)) {
      const button = html("button", { type: "button", "data-value": value }, label);
      button.addEventListener("click", () => {
        state[name] = value;
        change();
        redraw();
      });
      placed.push(() => button.setAttribute("aria-pressed", String(state[name] === value)));
      group.append(button);
    }
    controls.append(group);
    return group;
  }

  /** A button. */
  function button(label, press) {
    const element = html("button", { type: "button", class: "touch-button" }, label);
    element.addEventListener("click", () => {
      press();
      redraw();
    });
    controls.append(element);
    return element;
  }

  /** A canvas of so many samples below the drawing: `put` gives its place there, `paint` its red, green, blue, opacity. */
  function surface(columns, rows) {
    const canvas = html("canvas", { width: columns, height: rows, class: "touch-surface" });
    place.style.position = "relative";
    root.before(canvas);
    const context = canvas.getContext("2d", { willReadFrequently: true });
    const put = (x, y, wide, tall) =>
      Object.assign(canvas.style, { left: `${x}px`, top: `${y}px`, width: `${wide}px`, height: `${tall}px` });
    const paint = (pixels) => context.putImageData(new ImageData(pixels, columns, rows), 0, 0);
    return { canvas, put, paint };
  }

  return { root, redraw, handle, slider, choice, button, surface };
}

/** A text in a drawing. */
export const label = (x, y, text, kind = "") => svg("text", { x, y, class: `touch-label ${kind}` }, text);

/** A straight line in a drawing. */
export const line = (x1, y1, x2, y2, kind = "") => svg("line", { x1, y1, x2, y2, class: kind });

/** Grey values (rows of numbers from 0 to 1) as an image in a drawing, each sample a square of `size` pixels. */
export function raster(x, y, size, rows) {
  const canvas = html("canvas", { width: rows[0].length, height: rows.length });
  const context = canvas.getContext("2d");
  const pixels = context.createImageData(canvas.width, canvas.height);
  rows.flat().forEach((value, index) => {
    const grey = Math.round(255 * clamp(value, 0, 1));
    pixels.data.set([grey, grey, grey, Number.isNaN(value) ? 0 : 255], 4 * index);
  });
  context.putImageData(pixels, 0, 0);
  const [width, height] = [size * canvas.width, size * canvas.height];
  return svg("image", { x, y, width, height, href: canvas.toDataURL(), class: "touch-raster" });
}
