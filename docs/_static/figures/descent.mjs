// Gradient descent on where a picture is read: each sample of the output pulls at its point of the sampling grid.

import { clamp, digits, html, label, line, stage, svg } from "./stage.mjs";
import { centered, fromRows, misfit } from "./warps.mjs";

const NAMES = ["angle", "y", "x"];
const BEYOND = 3.5; // samples of the panel beyond each edge of the picture
const ARROW = 2; // length of the longest arrow at the start, in samples
const ARM = 0.75; // from the middle of the grid to the handle that turns it, in half sides
const PROBES = [[5, 9], [9, 6], [10, 12], [14, 10]];

export async function mount(place, root) {
  const { input, target } = await (await fetch(new URL("data/descent.json", root))).json();
  const [picture, goal] = [fromRows(input), fromRows(target)];
  const count = goal.height;
  const { unit, middle } = centered(count, count);
  const state = { rate: 0.5 };

  let samples, first;
  function look() {
    const seen = misfit(picture, goal, state.theta);
    ({ samples } = seen);
    const longest = Math.max(...samples.map(({ pull }) => Math.hypot(...pull)));
    first ??= longest;
    Object.assign(state, { loss: seen.loss, gradient: seen.gradient, longest });
    state.probes = PROBES.map(([i, j]) => ({ sample: [i, j], ...samples[i * count + j] }));
  }
  function begin(theta) {
    Object.assign(state, { theta, step: 0 });
    look();
    state.losses = [state.loss];
  }
  function descend(steps) {
    for (let k = 0; k < steps; k++) {
      state.theta = state.theta.map((value, axis) => value - state.rate * state.gradient[axis]);
      state.step += 1;
      look();
      state.losses.push(state.loss);
    }
  }
  begin([0, 0, 0]);

  // The panel with the input, the two small pictures, and the curve of losses.
  let panel, small, seen, wanted, curve;

  function layout(width) {
    const wide = width >= 520;
    const across = wide ? Math.min(0.58 * width, 440) : width;
    const size = across / (count + 2 * BEYOND);
    panel = { x: 0, y: 24, side: across, size };
    const left = wide ? across + 24 : 0;
    const room = width - left;
    small = Math.min((room - 16) / 2, 150);
    const top = wide ? 24 : across + 24 + 36;
    seen = { x: left, y: top };
    wanted = { x: left + small + 16, y: top };
    curve = { x: left, y: top + small + 40, width: wide ? 2 * small + 16 : room, height: 84 };
    if (wide) curve.height = Math.max(84, panel.y + across - curve.y - 26);
    return curve.y + curve.height + 26;
  }
  const onPanel = ([y, x]) => [panel.size * (x + BEYOND + 0.5), panel.y + panel.size * (y + BEYOND + 0.5)];

  function draw(layer, width) {
    layout(width);
    look();
    const [x, y] = onPanel([-0.5, -0.5]);
    shot.put(x, y, panel.size * count, panel.size * count);
    made.put(seen.x, seen.y, small, small);
    sought.put(wanted.x, wanted.y, small, small);
    paint(made, samples.map(({ value }) => value));

    layer.append(label(panel.side / 2, 12, "input, and where each sample should go", "middle quiet"));
    layer.append(label(seen.x + small / 2, seen.y - 12, "output", "middle quiet"));
    layer.append(label(wanted.x + small / 2, wanted.y - 12, "target", "middle quiet"));
    for (const { x, y } of [seen, wanted]) layer.append(svg("rect", { x, y, width: small, height: small, class: "grid" }));
    layer.append(arrows());
    layer.append(...losses());
  }

  /** The sampling grid with its arrows, cut off at the edge of the panel. */
  function arrows() {
    const box = { x: panel.x, y: panel.y, width: panel.side, height: panel.side };
    const inside = svg("svg", { ...box, viewBox: `${box.x} ${box.y} ${box.width} ${box.height}`, overflow: "hidden" });
    const dots = [];
    const shafts = [];
    const heads = [];
    // Arrows shrink with the slopes, more slowly, so that they can still be seen near the end.
    const scale = (ARROW * panel.size) / Math.sqrt(first * Math.max(state.longest, 1e-4 * first));
    for (const { at, pull } of samples) {
      const [x, y] = onPanel(at);
      dots.push(`M${x.toFixed(1)} ${y.toFixed(1)}h0`);
      const [dy, dx] = pull.map((slope) => -slope * scale);
      const length = Math.hypot(dx, dy);
      if (length < 2) continue;
      const [u, v] = [dx / length, dy / length];
      const head = Math.min(5, 0.6 * length);
      const [tipX, tipY] = [x + dx, y + dy];
      const [backX, backY] = [tipX - head * u, tipY - head * v];
      shafts.push(`M${x.toFixed(1)} ${y.toFixed(1)}L${backX.toFixed(1)} ${backY.toFixed(1)}`);
      const wing = 0.5 * head;
      const corners = [[tipX, tipY], [backX - wing * v, backY + wing * u], [backX + wing * v, backY - wing * u]];
      heads.push(`M${corners.map((corner) => corner.map((c) => c.toFixed(1)).join(" ")).join("L")}Z`);
    }
    const edge = [[0, 0], [0, 1], [1, 1], [1, 0]].map(([i, j]) => onPanel(corner(i, j)).join(",")).join(" ");
    inside.append(
      svg("polygon", { points: edge, class: "net-under" }),
      svg("polygon", { points: edge, class: "net" }),
      svg("path", { d: dots.join(""), class: "samples" }),
      svg("path", { d: shafts.join(""), class: "pull-under" }),
      svg("path", { d: heads.join(""), class: "pull-under" }),
      svg("path", { d: shafts.join(""), class: "pull" }),
      svg("path", { d: heads.join(""), class: "pull-head" }),
      svg("rect", { ...box, class: "grid" }),
    );
    return inside;
  }

  /** Where the grid takes a point given in half sides from its middle, in samples of the input. */
  function mapped([y, x]) {
    const [angle, down, right] = state.theta;
    const [cosine, sine] = [Math.cos(angle), Math.sin(angle)];
    return [middle[0] + unit * (cosine * y + sine * x + down), middle[1] + unit * (-sine * y + cosine * x + right)];
  }
  const corner = (i, j) => mapped([2 * i - 1, 2 * j - 1]);

  function losses() {
    const { x, y, width, height } = curve;
    const highest = Math.max(...state.losses);
    const steps = Math.max(10, state.step);
    const point = (loss, k) => [x + (width * k) / steps, y + height - (height - 16) * (loss / highest)];
    const points = state.losses.map(point);
    const [lastX, lastY] = points.at(-1);
    return [
      label(x, y, "loss", "quiet small"),
      label(x, y + height + 16, "0", "quiet small"),
      label(x + width, y + height + 16, `${steps} steps`, "quiet small end"),
      line(x, y + height, x + width, y + height, "axis"),
      svg("polyline", { points: points.join(" "), class: "curve" }),
      svg("circle", { cx: lastX, cy: lastY, r: 5, class: "result" }),
    ];
  }

  function paint(surface, values) {
    const pixels = new Uint8ClampedArray(4 * values.length).fill(255);
    values.forEach((value, k) => pixels.fill(255 * value, 4 * k, 4 * k + 3));
    surface.paint(pixels);
  }

  const { redraw, handle, slider, button, surface } = stage(place, { height: layout, draw, state, tell: () => table(state) });
  const shot = surface(count, count);
  const made = surface(count, count);
  const sought = surface(count, count);
  paint(shot, picture.data);
  paint(sought, goal.data);
  made.canvas.dataset.name = "output";

  // The handles: in the middle of the grid, and out on its x axis. They stay on the panel wherever descent takes the grid.
  const inPanel = ([y, x]) => [y, x].map((c) => clamp(c, -BEYOND - 0.5, count - 0.5 + BEYOND));
  const back = (px, py) => [py - panel.y, px].map((c, axis) => (c / panel.size - BEYOND - 0.5 - middle[axis]) / unit);
  const rounded = (value) => Math.round(value * 200) / 200;
  const shift = (y, x) => begin([state.theta[0], rounded(clamp(y, -1, 1)), rounded(clamp(x, -1, 1))]);
  const turn = (angle) => begin([rounded(Math.atan2(Math.sin(angle), Math.cos(angle))), ...state.theta.slice(1)]);
  handle({
    label: "middle of the grid",
    at: () => onPanel(inPanel(mapped([0, 0]))),
    move: (px, py) => shift(...back(px, py)),
    nudge: (dx, dy) => shift(state.theta[1] + 0.02 * dy, state.theta[2] + 0.02 * dx),
    say: () => `y ${digits(state.theta[1])}, x ${digits(state.theta[2])}`,
  });
  handle({
    label: "turn of the grid",
    kind: "of-b",
    at: () => onPanel(inPanel(mapped([0, ARM]))),
    move: (px, py) => {
      const [y, x] = back(px, py);
      turn(Math.atan2(y - state.theta[1], x - state.theta[2]));
    },
    nudge: (dx, dy) => turn(state.theta[0] + 0.02 * (dx + dy)),
    say: () => `${digits(state.theta[0])} radians`,
  });
  button("one step", () => descend(1));
  button("ten steps", () => descend(10));
  button("start again", () => begin([0, 0, 0]));
  slider("rate", { label: "step size", min: 0.1, max: 2, step: 0.1, show: (value) => digits(value, 1) });
  redraw();
}

/** The step, the loss, and the numbers of the transform with the loss's slopes by them. */
function table({ step, loss, longest, theta, gradient }) {
  const row = (name, values) => html("tr", {}, html("th", { scope: "row" }, name), ...values.map((v) => html("td", {}, v)));
  const head = html("tr", {}, html("td"), ...NAMES.map((name) => html("th", { scope: "col" }, name)));
  return html(
    "div",
    {},
    `step ${step}: loss L = ${digits(loss, 4)}, longest arrow ${digits(longest, 5)}`,
    html("table", { class: "touch-table" }, head, row("\u03b8", theta.map((v) => digits(v, 3))), row("\u2202L/\u2202\u03b8", gradient.map((v) => digits(v, 4)))),
  );
}
