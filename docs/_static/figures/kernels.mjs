// The kernels: what they give the samples around a point, and what they do to each frequency.

import { clamp, digits, label, line, stage, svg } from "./stage.mjs";
import { KERNELS, response } from "./numerics.mjs";

const TAPS = [-2, -1, 0, 1, 2, 3];
const FREQUENCIES = Array.from({ length: 161 }, (_, k) => k / 80);
const NAMES = Object.fromEntries(Object.keys(KERNELS).map((name) => [name, name]));
const curves = {}; // the responses, once they are needed
const curveOf = (name) => (curves[name] ??= FREQUENCIES.map((f) => Math.abs(response(name, f))));

export function mount(place) {
  const state = { kernel: "cubic", t: 0.3, taps: TAPS };
  const tall = 246;
  let left, right;

  function layout(width) {
    const wide = width >= 560;
    const room = wide ? (width - 36) / 2 : width;
    const panel = (x, y, low, high, bottom, top) => ({
      x: (value) => x + 12 + ((room - 24) * (value - low)) / (high - low),
      y: (value) => y + 28 + (tall - 84) * ((top - value) / (top - bottom)),
      unit: (room - 24) / (high - low),
      back: (px) => low + ((px - x - 12) * (high - low)) / (room - 24),
      middle: x + room / 2,
      top: y + 14,
      bottom: y + tall - 56,
    });
    left = panel(0, 0, -2.5, 3.5, -0.22, 1.08);
    right = panel(wide ? room + 36 : 0, wide ? 0 : tall + 8, 0, 2, 0, 1.14);
    return wide ? tall : 2 * tall - 8;
  }

  function draw(layer) {
    const { kernel, t } = state;
    const { weight, reach } = KERNELS[kernel];
    const weights = TAPS.map((k) => weight(t - k));
    const sum = weights.reduce((total, one) => total + one, 0);
    const gains = curveOf(kernel);
    Object.assign(state, { weights, sum, response: gains, nyquist: gains[40] });
    drawKernel(layer, weight, reach, weights);
    drawResponse(layer, gains);
  }

  function drawKernel(layer, weight, reach, weights) {
    const { x, y, unit, middle, top, bottom } = left;
    const { kernel, t } = state;
    layer.append(label(middle, top, `${kernel} at x = ${digits(t)}: weights of samples k`, "middle quiet small"));
    layer.append(line(x(-2.5), y(0), x(3.5), y(0), "axis"));
    const points = [];
    for (let s = -2.5; s <= 3.5; s += 1 / 64) points.push([s, weight(t - s)]);
    // The nearest-neighbour kernel jumps: its edges are drawn where they are.
    if (reach === 0.5) points.splice(0, points.length, [-2.5, 0], [t - 0.5, 0], [t - 0.5, 1], [t + 0.5, 1], [t + 0.5, 0], [3.5, 0]);
    layer.append(svg("polyline", { points: points.map(([s, w]) => `${x(s)},${y(w)}`).join(" "), class: "curve-ink" }));
    layer.append(line(x(t), y(0), x(t), bottom - 2, "drop"), line(x(t), y(0), x(t), y(1.08), "drop"));
    TAPS.forEach((k, i) => {
      const kind = k === 0 ? "of-a" : k === 1 ? "of-b" : "";
      layer.append(line(x(k), y(0), x(k), y(weights[i]), `stem ${kind || "stem-ink"}`));
      layer.append(svg("circle", { cx: x(k), cy: y(weights[i]), r: 4.5, class: `dot ${kind}` }));
      layer.append(label(x(k), bottom + 16, digits(k, 0), "middle quiet small"));
      layer.append(label(x(k), bottom + 36, digits(weights[i], unit < 46 ? 2 : 3), `middle small ${kind}`));
    });
  }

  function drawResponse(layer, gains) {
    const { x, y, middle, top, bottom } = right;
    layer.append(label(middle, top, "gain, by frequency in cycles a sample", "middle quiet small"));
    const path = (values) => values.map((gain, k) => `${x(FREQUENCIES[k])},${y(gain)}`).join(" ");
    layer.append(svg("polyline", { points: `${x(0)},${y(1)} ${x(0.5)},${y(1)} ${x(0.5)},${y(0)}`, class: "faint" }));
    layer.append(line(x(0), y(0), x(2), y(0), "axis"), line(x(0), y(0), x(0), y(1.1), "axis"));
    layer.append(line(x(0.5), y(0), x(0.5), y(1.1), "drop"));
    layer.append(svg("polyline", { points: path(gains), class: "curve-ink" }));
    layer.append(svg("circle", { cx: x(0.5), cy: y(state.nyquist), r: 4.5, class: "result" }));
    const name = x(2) - x(0.5) < 220 ? "at 0.5, Nyquist" : "at 0.5, the Nyquist frequency";
    layer.append(label(x(0.5) + 9, y(1.04), `${name}: ${digits(state.nyquist, 3)}`, "small of-result"));
    for (const f of [0, 0.5, 1, 1.5, 2]) {
      layer.append(line(x(f), y(0), x(f), y(0) + 4, "axis"));
      layer.append(label(x(f), bottom + 16, `${f}`, `small quiet ${f === 2 ? "end" : f ? "middle" : ""}`));
    }
  }

  function tell() {
    const total = `sum of the weights ${digits(state.sum, 3)}`;
    if (state.kernel === "spline3") return `${total}; all samples have weights, and those further away make it 1`;
    return total;
  }

  const set = (t) => (state.t = clamp(Math.round(100 * t) / 100, 0, 0.99));
  const { handle, choice, redraw } = stage(place, { height: layout, draw, state, tell });
  choice("kernel", NAMES);
  handle({
    label: "offset",
    at: () => [left.x(state.t), left.y(0)],
    move: (px) => set(left.back(px)),
    nudge: (dx, dy) => set(state.t + 0.01 * (dx - dy)),
    say: () => `t = ${digits(state.t)}`,
  });
  redraw();
}
