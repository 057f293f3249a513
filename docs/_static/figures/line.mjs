// A point on a sequence: its two neighbours, their weights, the line between them.

import { clamp, digits, label, line, stage, svg } from "./stage.mjs";
import { linear, neighbours } from "./numerics.mjs";

const VALUES = [3, 5, 4, 1, 2, 6, 5, 2];

export function mount(place) {
  const state = { x: 1.3, values: VALUES };
  const last = VALUES.length - 1;
  const margin = { left: 24, right: 24, top: 26, bottom: 56 };
  let across, up;

  function draw(layer, width, height) {
    const step = (width - margin.left - margin.right) / last;
    const rise = (height - margin.top - margin.bottom) / 6;
    across = { of: (x) => margin.left + step * x, back: (px) => (px - margin.left) / step };
    up = (value) => height - margin.bottom - rise * value;

    const { left, weights } = neighbours(state.x);
    const value = linear(VALUES, state.x);
    Object.assign(state, { left, weights, value });

    layer.append(line(across.of(0), up(0), across.of(last), up(0), "axis"));
    layer.append(svg("polyline", { points: VALUES.map((v, k) => `${across.of(k)},${up(v)}`).join(" "), class: "faint" }));
    VALUES.forEach((v, k) => {
      const kind = k === left ? "of-a" : k === left + 1 ? "of-b" : "";
      layer.append(line(across.of(k), up(0), across.of(k), up(v), `stem ${kind}`));
      layer.append(svg("circle", { cx: across.of(k), cy: up(v), r: 5, class: `dot ${kind}` }));
      layer.append(label(across.of(k), up(v) - 11, `${v}`, `middle ${kind}`));
      layer.append(label(across.of(k), up(0) + 18, `${k}`, "middle quiet"));
    });
    if (left < last) {
      layer.append(line(across.of(left), up(VALUES[left]), across.of(left + 1), up(VALUES[left + 1]), "strong"));
      // Each neighbour's weight is the length of the way from the point to the other one.
      const y = up(0) + 34;
      layer.append(line(across.of(left), y, across.of(state.x), y, "bar of-b"));
      layer.append(line(across.of(state.x), y, across.of(left + 1), y, "bar of-a"));
      layer.append(label(across.of(left) - 7, y + 5, digits(weights[1]), "end of-b"));
      layer.append(label(across.of(left + 1) + 7, y + 5, digits(weights[0]), "of-a"));
    }
    layer.append(line(across.of(state.x), up(0), across.of(state.x), up(value), "drop"));
    layer.append(svg("circle", { cx: across.of(state.x), cy: up(value), r: 6, class: "result" }));
  }

  const set = (x) => (state.x = clamp(Math.round(x * 100) / 100, 0, last));
  const tell = () => {
    const { left, weights, value } = state;
    const terms = weights.map((w, k) => `${digits(w)} × ${VALUES[left + k] ?? 0}`).join(" + ");
    return `f(${digits(state.x)}) = ${terms} = ${digits(value)}`;
  };
  const { handle, redraw } = stage(place, { height: (width) => clamp(width / 2, 260, 340), draw, state, tell });
  handle({
    label: "sample point",
    at: () => [across.of(state.x), up(0)],
    move: (px) => set(across.back(px)),
    nudge: (dx, dy) => set(state.x + 0.05 * (dx - dy)),
    say: () => `x = ${digits(state.x)}, value ${digits(state.value)}`,
  });
  redraw();
}
