"use strict";
// The scene: particles of a run on a canvas, turned, zoomed and played. No library: a page must open offline and stay small.
class Scene {
  constructor(canvas, data) {
    this.canvas = canvas;
    this.data = data;
    this.system = 0;
    this.frame = 0;
    this.compress = data.compress;
    const bytes = Uint8Array.from(atob(data.positions), c => c.charCodeAt(0));
    this.whole = new Uint16Array(bytes.buffer);
    this.sprites = new Map();
    this.reset();
    this.listen();
    new ResizeObserver(() => this.draw()).observe(canvas);
  }
  reset() {
    this.yaw = 0.5;
    this.pitch = this.data.compress ? 1.0 : 0.35;
    this.zoom = 1;
    this.measure();
    this.draw();
  }
  // where particle k is in a frame, about the middle of the scene
  place(frame, k, out) {
    const d = this.data, at = 3 * ((frame * d.systems + this.system) * d.particles + k), unit = d.span / d.levels;
    for (let a = 0; a < 3; a++) out[a] = this.whole[at + a] * unit + d.low[a];
    this.shrink(out);
    return out;
  }
  shrink(out) {
    if (this.compress) {
      const r = Math.hypot(out[0], out[1], out[2]);
      const s = r > 1e-12 ? Math.asinh(r / 0.2) / r : 0;
      for (let a = 0; a < 3; a++) out[a] *= s;
    }
  }
  measure() {
    const d = this.data, p = [0, 0, 0], low = [Infinity, Infinity, Infinity], high = [-Infinity, -Infinity, -Infinity];
    const grow = q => { for (let a = 0; a < 3; a++) { low[a] = Math.min(low[a], q[a]); high[a] = Math.max(high[a], q[a]); } };
    const stride = Math.max(1, Math.floor(d.frames / 50));
    for (let f = 0; f < d.frames; f += stride) for (let k = 0; k < d.particles; k++) grow(this.place(f, k, p));
    for (const corner of this.corners()) grow(corner);
    this.middle = this.compress ? [0, 0, 0] : low.map((v, a) => 0.5 * (v + high[a]));
    this.reach = Math.max(1e-9, ...d.radii.map(r => 4 * r), this.compress ? Math.max(...high.map(Math.abs), ...low.map(Math.abs)) : 0.5 * Math.hypot(...high.map((v, a) => v - low[a])));
  }
  corners() {
    const c = this.data.cell, found = [];
    if (c) for (let n = 0; n < 8; n++) found.push([0, 1, 2].map(a => (n & 1) * c[0][a] + (n >> 1 & 1) * c[1][a] + (n >> 2) * c[2][a]));
    return found;
  }
  project(p) {
    const x = p[0] - this.middle[0], y = p[1] - this.middle[1], z = p[2] - this.middle[2];
    const cy = Math.cos(this.yaw), sy = Math.sin(this.yaw), cp = Math.cos(this.pitch), sp = Math.sin(this.pitch);
    const u = cy * x - sy * y, v = sy * x + cy * y;
    const height = cp * z + sp * v, depth = cp * v - sp * z;  // depth grows away from the eye
    const far = 3.5 * this.reach, scale = this.size * this.zoom * far / (far + depth);
    return [this.width / 2 + u * scale, this.height / 2 - height * scale, depth, scale];
  }
  sprite(color, radius) {
    const r = Math.max(2, Math.min(96, Math.round(radius))), key = color + r;
    if (!this.sprites.has(key)) {
      const ball = document.createElement("canvas");
      ball.width = ball.height = 2 * r + 2;
      const g = ball.getContext("2d"), shade = g.createRadialGradient(r * 0.7, r * 0.65, r * 0.1, r + 1, r + 1, r);
      shade.addColorStop(0, "#ffffff");
      shade.addColorStop(0.25, color);
      shade.addColorStop(1, color);
      g.fillStyle = shade;
      g.beginPath();
      g.arc(r + 1, r + 1, r, 0, 2 * Math.PI);
      g.fill();
      g.strokeStyle = "rgba(0,0,0,0.45)";
      g.stroke();
      this.sprites.set(key, ball);
    }
    return this.sprites.get(key);
  }
  draw() {
    const box = this.canvas.getBoundingClientRect(), ratio = Math.min(2, window.devicePixelRatio || 1);
    if (!box.width || !this.middle) return;
    const w = Math.round(box.width * ratio), h = Math.round(box.height * ratio);
    if (this.canvas.width !== w || this.canvas.height !== h) { this.canvas.width = w; this.canvas.height = h; }
    this.width = w; this.height = h; this.size = 0.44 * Math.min(w, h) / this.reach;
    const g = this.canvas.getContext("2d"), d = this.data, p = [0, 0, 0], ink = getComputedStyle(this.canvas).color;
    g.clearRect(0, 0, w, h);
    g.lineWidth = ratio;
    if (d.cell) {
      g.strokeStyle = ink; g.globalAlpha = 0.45; g.beginPath();
      const c = this.corners().map(q => this.project(q));
      for (let n = 0; n < 8; n++) for (const bit of [1, 2, 4]) if (!(n & bit)) { g.moveTo(c[n][0], c[n][1]); g.lineTo(c[n | bit][0], c[n | bit][1]); }
      g.stroke();
    }
    if (d.trails) {
      g.globalAlpha = 0.55;
      const first = Math.max(0, this.frame - 400);
      for (let k = 0; k < d.particles; k++) {
        g.strokeStyle = d.colors[k]; g.beginPath();
        for (let f = first; f <= this.frame; f++) { const q = this.project(this.place(f, k, p)); if (f === first) g.moveTo(q[0], q[1]); else g.lineTo(q[0], q[1]); }
        g.stroke();
      }
    }
    g.globalAlpha = 1;
    const seen = [];
    for (let k = 0; k < d.particles; k++) { const q = this.project(this.place(this.frame, k, p)); q.push(k, p[0], p[1], p[2]); seen.push(q); }
    if (d.bonds.length) {
      g.strokeStyle = "#8a8a8a"; g.lineWidth = Math.max(1.5 * ratio, 0.18 * this.size * this.zoom); g.beginPath();
      for (const [i, j] of d.bonds) {
        const a = seen[i], b = seen[j];
        if (Math.hypot(a[5] - b[5], a[6] - b[6], a[7] - b[7]) < d.longest) { g.moveTo(a[0], a[1]); g.lineTo(b[0], b[1]); }
      }
      g.stroke();
    }
    seen.sort((a, b) => b[2] - a[2]);
    for (const q of seen) {
      const k = q[4], base = d.sizes ? 11 * d.sizes[k] : d.particles > 400 ? 3 : 7;
      const r = d.radii[k] ? Math.max(1.5 * ratio, d.radii[k] * q[3]) : base * ratio * Math.sqrt(this.zoom);
      g.drawImage(this.sprite(d.colors[k], r), q[0] - r - 1, q[1] - r - 1, 2 * r + 2, 2 * r + 2);
      if (d.marked === k) {
        g.strokeStyle = ink; g.lineWidth = 2 * ratio; g.beginPath(); g.arc(q[0], q[1], r + 3 * ratio, 0, 2 * Math.PI); g.stroke();
      }
    }
    if (d.sizes && d.particles <= 20) {
      g.fillStyle = ink; g.font = `${11 * ratio}px sans-serif`;
      for (const q of seen) if (d.names[q[4]] !== "Moon") g.fillText(d.names[q[4]], q[0] + 9 * ratio, q[1] + 4 * ratio);
    }
  }
  turn(dx, dy) { this.yaw += dx; this.pitch = Math.max(-1.57, Math.min(1.57, this.pitch + dy)); this.draw(); }
  nearer(factor) { this.zoom = Math.max(0.2, Math.min(40, this.zoom * factor)); this.draw(); }
  listen() {
    const touches = new Map();
    let apart = 0;
    const c = this.canvas;
    c.addEventListener("pointerdown", e => { touches.set(e.pointerId, [e.clientX, e.clientY]); c.setPointerCapture(e.pointerId); apart = 0; });
    c.addEventListener("pointermove", e => {
      const before = touches.get(e.pointerId);
      if (!before) return;
      if (touches.size === 1) this.turn(-0.008 * (e.clientX - before[0]), 0.008 * (e.clientY - before[1]));
      touches.set(e.pointerId, [e.clientX, e.clientY]);
      if (touches.size === 2) {
        const [a, b] = [...touches.values()], now = Math.hypot(a[0] - b[0], a[1] - b[1]);
        if (apart) this.nearer(now / apart);
        apart = now;
      }
    });
    for (const end of ["pointerup", "pointercancel"]) c.addEventListener(end, e => { touches.delete(e.pointerId); apart = 0; });
    c.addEventListener("wheel", e => { e.preventDefault(); this.nearer(Math.exp(-0.0015 * e.deltaY)); }, {passive: false});
    c.addEventListener("keydown", e => {
      const turns = {ArrowLeft: [0.1, 0], ArrowRight: [-0.1, 0], ArrowUp: [0, -0.1], ArrowDown: [0, 0.1]}[e.key];
      if (turns) this.turn(...turns);
      else if (e.key === "+" || e.key === "=") this.nearer(1.15);
      else if (e.key === "-") this.nearer(1 / 1.15);
      else if (e.key === "0") this.reset();
      else return;
      e.preventDefault();
    });
  }
}

// The player: one clock for all scenes of the page.
(() => {
  const stored = id => JSON.parse(document.getElementById(id).textContent);
  const scenes = [...document.querySelectorAll("canvas[data-scene]")].map(c => new Scene(c, stored(c.dataset.scene)));
  if (!scenes.length) return;
  const find = id => document.getElementById(id), slider = find("frame"), button = find("play"), clock = find("clock"), speed = find("speed");
  const d = scenes[0].data;
  let playing = false, last = 0, at = 0;
  // runs that are compared keep frames at times of their own
  const nearest = (times, t) => {
    let low = 0, high = times.length - 1;
    while (high - low > 1) { const m = (low + high) >> 1; if (times[m] <= t) low = m; else high = m; }
    return t - times[low] <= times[high] - t ? low : high;
  };
  const show = frame => {
    at = frame;
    const f = Math.round(frame);
    for (const s of scenes) { s.frame = s === scenes[0] ? f : nearest(s.data.times, d.times[f]); s.draw(); }
    slider.value = f;
    const count = `frame ${f + 1} of ${d.frames}`, time = `time ${Number(d.times[f].toPrecision(5))} ${d.timeUnit}`.trim();
    clock.textContent = d.timed ? `${time}, ${count}` : count;
    slider.setAttribute("aria-valuetext", d.timed ? time : count);
  };
  const step = now => {
    if (!playing) return;
    const next = at + Math.min(100, now - last) / 1000 * Number(speed.value) * Math.max(5, d.frames / 20);
    last = now;
    show(next > d.frames - 1 ? 0 : next);
    requestAnimationFrame(step);
  };
  const play = on => {
    playing = on;
    button.textContent = on ? "Pause" : "Play";
    if (on) { if (at >= d.frames - 1) at = 0; last = performance.now(); requestAnimationFrame(step); }
  };
  button.addEventListener("click", () => play(!playing));
  slider.addEventListener("input", () => { play(false); show(Number(slider.value)); });
  find("reset").addEventListener("click", () => scenes.forEach(s => s.reset()));
  const system = find("system"), compress = find("compress");
  if (system) system.addEventListener("change", () => scenes.forEach(s => { s.system = Math.min(Number(system.value), s.data.systems - 1); s.reset(); }));
  if (compress) compress.addEventListener("change", () => scenes.forEach(s => { s.compress = compress.checked; s.measure(); s.draw(); }));
  document.addEventListener("keydown", e => {
    if (e.target.closest("input, select, button, summary") || e.ctrlKey || e.metaKey || e.altKey) return;
    if (e.key === " ") { e.preventDefault(); play(!playing); }
    if (e.key === "," || e.key === ".") { play(false); show(Math.max(0, Math.min(d.frames - 1, Math.round(at) + (e.key === "." ? 1 : -1)))); }
  });
  find("theme").addEventListener("click", () => {
    const root = document.documentElement, dark = getComputedStyle(root).colorScheme === "dark";
    root.dataset.theme = dark ? "light" : "dark";
    scenes.forEach(s => s.draw());
  });
  show(0);
})();
