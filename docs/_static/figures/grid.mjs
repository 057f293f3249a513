// The sampling grid of a transform, drawn on the photo that it reads, and what it reads.

import { clamp, digits, label, stage, svg } from "./stage.mjs";
import { affine, centered, load, projective, projectiveThrough, read, thinPlateSpline } from "./warps.mjs";

const SIDE = 96; // samples of the output
const CELLS = 8; // cells of the drawn grid, a side
const REACH = 1.2; // how far handles go, in half sides of the photo
const PROBES = [[10, 10], [12, 83], [47, 48], [70, 31], [85, 85]];
const THIRDS = [-1, -1 / 3, 1 / 3, 1];

// Where the handles of each family are in the output. An affine map is that of the origin and of the ends of both axes.
const SOURCES = {
  affine: [[0, 0], [1, 0], [0, 1]],
  projective: [[-1, -1], [-1, 1], [1, -1], [1, 1]],
  spline: THIRDS.flatMap((y) => THIRDS.map((x) => [y, x])),
};
const NAMES = {
  affine: ["origin", "end of the y axis", "end of the x axis"],
  projective: ["top left corner", "top right corner", "bottom left corner", "bottom right corner"],
  spline: SOURCES.spline.map((_, k) => `point ${Math.floor(k / 4) + 1}, ${(k % 4) + 1}`),
};
const KINDS = { affine: ["", "of-b", "of-c"], projective: ["of-a", "of-b", "of-c", "of-d"], spline: Array(16).fill("") };
const START = {
  affine: [[0, -0.05], [0.5, -0.25], [0.15, 0.55]],
  projective: [[-0.55, -0.35], [-0.75, 0.6], [0.8, -0.75], [0.6, 0.8]],
  spline: SOURCES.spline.map(([y, x]) => [
    round(0.72 * y + 0.16 * Math.cos(2.4 * x)),
    round(0.72 * x + 0.16 * Math.sin(2.4 * y)),
  ]),
};

function round(value) {
  return Math.round(value * 200) / 200;
}

export async function mount(place, root) {
  const photo = await load(new URL("data/photo.png", root));
  const input = centered(photo.height, photo.width);
  const output = centered(SIDE, SIDE);
  const lattice = Array.from({ length: SIDE * SIDE }, (_, k) => output.toUnits([Math.floor(k / SIDE), k % SIDE]));
  const spline = thinPlateSpline(SOURCES.spline);
  let kept; // the spline's basis functions on the lattice, once they are needed

  const state = { family: "affine", handles: structuredClone(START.affine) };
  const remembered = structuredClone(START);
  const pixels = new Uint8ClampedArray(4 * SIDE * SIDE).fill(255);

  /** The transform of the handles, and its numbers. */
  function transform() {
    const { family, handles } = state;
    if (family === "affine") {
      const [t, down, right] = handles;
      const matrix = [0, 1].map((axis) => [down[axis] - t[axis], right[axis] - t[axis], t[axis]]);
      return { map: affine(matrix), parameters: matrix };
    }
    if (family === "projective") {
      const matrix = projectiveThrough(SOURCES.projective, handles);
      return { map: projective(matrix), parameters: matrix };
    }
    return { map: spline.map(handles), parameters: handles, energy: spline.energy(handles) };
  }

  const colour = (point) => {
    const [y, x] = input.toIndex(point);
    return [0, 1, 2].map((channel) => read(photo, y, x, channel).value);
  };

  function warp(map) {
    let mapped = map;
    if (state.family === "spline") {
      kept ??= lattice.map(spline.basis);
      const shifts = spline.shiftsOf(state.handles);
      mapped = (p, k) => spline.move(p, kept[k], shifts);
    }
    lattice.forEach((p, k) => pixels.set(colour(mapped(p, k)), 4 * k));
    made.paint(pixels);
  }

  // Both panels: where they are, and how wide the photo and the output are there.
  let panel, side, seen;

  function layout(width) {
    const wide = width >= 520;
    const across = wide ? Math.min(0.6 * width, 460) : width;
    panel = { x: across / 2, y: 24 + across / 2, reach: across / 2, unit: across / 2 / REACH };
    side = wide ? Math.min(width - across - 28, 2 * panel.unit) : Math.min(0.66 * width, 260);
    seen = wide ? { x: across + 28, y: panel.y - side / 2 } : { x: (width - side) / 2, y: across + 24 + 36 };
    return wide ? across + 32 : across + 24 + 36 + side + 12;
  }
  const onPhoto = ([y, x]) => [panel.x + panel.unit * x, panel.y + panel.unit * y];
  const onOutput = ([y, x]) => [seen.x + (side / 2) * (1 + x), seen.y + (side / 2) * (1 + y)];

  function draw(layer, width) {
    layout(width);
    const { map, parameters, energy } = transform();
    Object.assign(state, { parameters, energy });
    state.probes = PROBES.map((sample) => {
      const position = map(output.toUnits(sample));
      return { sample, position, value: colour(position) };
    });
    shot.put(panel.x - panel.unit, panel.y - panel.unit, 2 * panel.unit, 2 * panel.unit);
    made.put(seen.x, seen.y, side, side);
    warp(map);

    layer.append(label(panel.x, 12, "input, and where it is read", "middle quiet"));
    layer.append(label(seen.x + side / 2, seen.y - 12, "output", "middle quiet"));
    const box = frameOf({ x: panel.x - panel.reach, y: panel.y - panel.reach }, 2 * panel.reach);
    layer.append(svg("rect", { ...box, class: "grid" }));
    // The grid may go far beyond its handles; it is cut off at the edge of the panel.
    layer.append(svg("svg", { ...box, viewBox: Object.values(box).join(" "), overflow: "hidden" }, ...net(map)));
    layer.append(svg("rect", { ...frameOf(seen, side), class: "grid" }));
    SOURCES[state.family].forEach((source, k) => {
      const [cx, cy] = onOutput(source);
      if (state.family === "affine" && k) layer.append(...ray(onOutput([0, 0]), [cx, cy], KINDS.affine[k]));
      if (state.family === "affine" && k) layer.append(...ray(onPhoto(state.handles[0]), onPhoto(state.handles[k]), KINDS.affine[k]));
      layer.append(svg("circle", { cx, cy, r: 5, class: `touch-handle ${KINDS[state.family][k]}` }));
    });
  }

  const frameOf = ({ x, y }, size) => ({ x, y, width: size, height: size });
  const ray = ([x1, y1], [x2, y2], kind) => [
    svg("line", { x1, y1, x2, y2, class: "net-under" }),
    svg("line", { x1, y1, x2, y2, class: `net-axis ${kind}` }),
  ];

  /** The lines of the output's lattice where the transform takes them, its frame stronger. */
  function net(map) {
    const steps = state.family === "spline" ? 32 : 1;
    const path = (from, to) => {
      const points = Array.from({ length: steps + 1 }, (_, k) => {
        const part = k / steps;
        return onPhoto(map([from[0] + (to[0] - from[0]) * part, from[1] + (to[1] - from[1]) * part]));
      });
      return `M${points.map(([x, y]) => `${x.toFixed(2)} ${y.toFixed(2)}`).join("L")}`;
    };
    const ticks = Array.from({ length: CELLS + 1 }, (_, k) => (2 * k) / CELLS - 1);
    const inner = ticks.slice(1, -1).flatMap((c) => [path([c, -1], [c, 1]), path([-1, c], [1, c])]).join("");
    const outer = [-1, 1].flatMap((c) => [path([c, -1], [c, 1]), path([-1, c], [1, c])]).join("");
    return [
      svg("path", { d: inner + outer, class: "net-under" }),
      svg("path", { d: inner, class: "net" }),
      svg("path", { d: outer, class: "net net-frame" }),
    ];
  }

  /** Take a handle to a point, as far as the family and the panel allow. */
  function set(k, [y, x]) {
    const goal = [y, x].map((c) => round(clamp(c, -REACH, REACH)));
    const moved = state.handles.map((point, j) => (j === k ? goal : point));
    if (state.family === "affine" && k === 0) {
      // The ends of the axes come along with the origin, and stay inside the panel.
      const by = [0, 1].map((axis) => {
        const all = state.handles.map((point) => point[axis]);
        return clamp(goal[axis] - all[0], -REACH - Math.min(...all), REACH - Math.max(...all));
      });
      moved.forEach((_, j) => (moved[j] = state.handles[j].map((c, axis) => round(c + by[axis]))));
    }
    if (state.family === "projective" && !isConvex(moved)) return;
    state.handles = remembered[state.family] = moved;
  }

  const say = (k) => `y ${digits(state.handles[k][0])}, x ${digits(state.handles[k][1])}`;
  const { redraw, handle, choice, button, surface } = stage(place, {
    height: layout,
    draw,
    state,
    tell: () => formula(state),
  });
  const shot = surface(photo.width, photo.height);
  const made = surface(SIDE, SIDE);
  const opaque = new Uint8ClampedArray(4 * photo.height * photo.width).fill(255);
  for (let k = 0; k < opaque.length / 4; k++) opaque.set(photo.data.subarray(3 * k, 3 * k + 3), 4 * k);
  shot.paint(opaque);
  made.canvas.dataset.name = "output";

  for (const [family, names] of Object.entries(NAMES)) {
    names.forEach((name, k) => {
      const shown = () => state.family === family;
      const at = () => onPhoto(shown() ? state.handles[k] : remembered[family][k]);
      handle({
        label: name,
        kind: KINDS[family][k],
        radius: family === "spline" ? 7 : 9,
        shown,
        at,
        move: (px, py) => set(k, [(py - panel.y) / panel.unit, (px - panel.x) / panel.unit]),
        nudge: (dx, dy) => set(k, [state.handles[k][0] + 0.01 * dy, state.handles[k][1] + 0.01 * dx]),
        say: () => (shown() ? say(k) : ""),
      });
    });
  }
  choice("family", { affine: "affine", projective: "projective", spline: "thin-plate spline" }, () => {
    state.handles = remembered[state.family];
  });
  button("reset", () => (state.handles = remembered[state.family] = structuredClone(SOURCES[state.family])));
  redraw();
}

/** Whether four corners, row by row, turn the same way all round, by more than a sliver. */
function isConvex([a, b, c, d]) {
  const round = [a, b, d, c];
  return round.every(([y, x], k) => {
    const [next, after] = [round[(k + 1) % 4], round[(k + 2) % 4]];
    return (next[1] - x) * (after[0] - next[0]) - (next[0] - y) * (after[1] - next[1]) > 0.02;
  });
}

/** A sum such as 0.5 y - 0.2 x + 0.1. */
function sum([a, b, t]) {
  const term = (value, name) => `${digits(Math.abs(value))}${name}`;
  const sign = (value) => (Number(value.toFixed(2)) < 0 ? "\u2212" : "+");
  const first = sign(a) === "+" ? "" : "\u2212";
  return `${first}${term(a, " y")} ${sign(b)} ${term(b, " x")} ${sign(t)} ${term(t, "")}`;
}

function formula({ family, parameters, energy }) {
  if (family === "affine") return `y\u2032 = ${sum(parameters[0])}\nx\u2032 = ${sum(parameters[1])}`;
  if (family === "spline") return `16 control points, each read where its handle is\nbending energy ${digits(energy)}`;
  const [y, x, w] = parameters.map(sum);
  return `y\u2032 = (${y}) / w\nx\u2032 = (${x}) / w\nw = ${w}`;
}
