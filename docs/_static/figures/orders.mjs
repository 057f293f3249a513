// Interpolation in two dimensions as two steps in one: first along either axis, then along the other.

import { clamp, digits, label, line, stage, svg } from "./stage.mjs";
import { KINDS } from "./areas.mjs";

const CORNERS = [7, 2, 5, 9]; // row by row
const STEPS = {
  // The edges that the first step goes along, each by its corners and its name.
  x: { edges: [[0, 1, "top"], [2, 3, "bottom"]], then: "y" },
  y: { edges: [[0, 2, "left"], [1, 3, "right"]], then: "x" },
};
const between = (t, first, last) => (1 - t) * first + t * last;

/** The values on two opposite edges, and the one between them. */
function twoSteps(first, point) {
  const { edges, then } = STEPS[first];
  const middle = edges.map(([from, to]) => between(point[first], CORNERS[from], CORNERS[to]));
  return { edges: middle, value: between(point[then], ...middle) };
}

export function mount(place) {
  const state = { first: "x", y: 0.4, x: 0.3, corners: CORNERS };
  const lines = { width: 272, height: 180 };
  const margin = 46; // around the cell, for numbers
  let side, wide, start;

  function layout(width) {
    wide = width >= 560;
    side = clamp(width - 2 * margin - (wide ? lines.width : 0), 120, wide ? 240 : 210);
    const room = wide ? width - lines.width : width;
    start = [34, Math.max(margin, (room - side) / 2)];
    const tall = side + 2 * start[0];
    return wide ? Math.max(tall, lines.height + 20) : tall + lines.height;
  }
  const at = (y, x) => [start[1] + side * x, start[0] + side * y];
  const spot = (k) => at(k >> 1, k & 1);

  function draw(layer, width, height) {
    const { first, y, x } = state;
    const isRow = first === "x";
    const { edges, value } = twoSteps(first, state);
    const other = twoSteps(STEPS[first].then, state);
    Object.assign(state, { edges, value, otherEdges: other.edges, otherValue: other.value });

    layer.append(svg("rect", { x: start[1], y: start[0], width: side, height: side, class: "grid" }));
    const ends = isRow ? [at(0, x), at(1, x)] : [at(y, 0), at(y, 1)];
    STEPS[first].edges.forEach(([from, to]) => layer.append(line(...spot(from), ...spot(to), "strong")));
    layer.append(line(...ends[0], ...ends[1], "drop"));
    CORNERS.forEach((corner, k) => {
      const [cx, cy] = spot(k);
      layer.append(svg("circle", { cx, cy, r: 13, class: `sample ring ${KINDS[k]}`, style: `--grey: ${5 * corner}%` }));
      layer.append(label(cx, cy + 5, `${corner}`, "middle"));
    });
    ends.forEach(([cx, cy], k) => {
      layer.append(svg("circle", { cx, cy, r: 6, class: "edge-point" }));
      // Outside of the cell, where no corner is.
      const text = digits(edges[k], 1);
      if (isRow) layer.append(label(cx, k ? cy + 32 : cy - 20, text, "middle"));
      else layer.append(label(k ? cx + 18 : cx - 18, cy + 5, text, k ? "" : "end"));
    });
    const [px, py] = at(y, x);
    // Towards the middle of the cell, where there is room.
    const away = x < 0.5 ? 15 : -15;
    layer.append(label(px + away, y < 0.5 ? py + 24 : py - 14, digits(value), `strong-text of-result ${x < 0.5 ? "" : "end"}`));

    const left = wide ? width - lines.width + 8 : Math.max(0, (width - lines.width) / 2) + 4;
    steps(layer, left, wide ? (height - lines.height) / 2 : height - lines.height + 12);
  }

  /** The three sums of two terms, and what the other order gives. */
  function steps(layer, x, y) {
    const { first, edges, value, otherEdges, otherValue } = state;
    const { edges: sides, then } = STEPS[first];
    const row = (k, text, kind = "") => layer.append(label(x, y + 16 + 24 * k, text, kind));
    const term = (axis, from, to, count) => {
      const t = state[axis];
      return `${digits(1 - t, 1)} × ${digits(from, count)} + ${digits(t, 1)} × ${digits(to, count)}`;
    };
    row(0, `first along ${first}: ${first} = ${digits(state[first], 1)}`, "quiet");
    sides.forEach(([from, to, name], k) => {
      row(1 + k, `${name}: ${term(first, CORNERS[from], CORNERS[to], 0)} = ${digits(edges[k], 1)}`);
    });
    row(3, `then along ${then}: ${then} = ${digits(state[then], 1)}`, "quiet");
    row(4, `${term(then, ...edges, 1)} = ${digits(value)}`, "strong-text of-result");
    row(6, `along ${then} first: ${digits(otherEdges[0], 1)} and ${digits(otherEdges[1], 1)}, then ${digits(otherValue)}`, "quiet");
  }

  // Steps of a tenth: then all numbers are exact with the digits that are shown.
  const set = (y, x) => {
    state.y = clamp(Math.round(10 * y) / 10, 0, 1);
    state.x = clamp(Math.round(10 * x) / 10, 0, 1);
  };
  const { handle, choice, redraw } = stage(place, { height: layout, draw, state });
  choice("first", { x: "first along x, then y", y: "first along y, then x" });
  handle({
    label: "sample point",
    at: () => at(state.y, state.x),
    move: (px, py) => set((py - start[0]) / side, (px - start[1]) / side),
    nudge: (dx, dy) => set(state.y + 0.1 * dy, state.x + 0.1 * dx),
    say: () => `y = ${digits(state.y, 1)}, x = ${digits(state.x, 1)}, value ${digits(state.value)}`,
  });
  redraw();
}
