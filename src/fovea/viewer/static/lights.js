// Lights to choose from: their maps, what shading needs of them, two that need no file, and how they are drawn.
"use strict";
(() => {
  const { harmonics, read, shrink, toSrgb } = fovea.radiance;
  const { prefilter } = fovea.prefilter;
  const MAP_PX = 512, HARMONICS_PX = 128, DRAWN_PX = 256;

  // A light by its name and map, of whatever size.
  class Light {
    constructor(name, map) {
      this.name = name;
      this.map = shrink(map, MAP_PX);
      this.small = shrink(this.map, HARMONICS_PX);
      this.drawn = null;
    }

    // What `Shader.setLight` takes, with the light turned as `worldToMap` says and `gain` times as bright.
    under(worldToMap, gain) {
      this.chain ??= prefilter(this.map);
      return { harmonics: harmonics(this.small, worldToMap), chain: this.chain, worldToMap, gain };
    }

    // The map as a picture on a canvas, bright parts rolled off.
    picture() {
      if (this.drawn) return this.drawn;
      const { width, height, pixels } = shrink(this.map, DRAWN_PX);
      let sum = 0;
      for (const value of pixels) sum += Math.min(value, 20);
      const key = 0.45 / Math.max(1e-9, sum / pixels.length);
      const canvas = Object.assign(document.createElement("canvas"), { width, height });
      const image = new ImageData(width, height);
      for (let i = 0; i < width * height; i++) {
        for (let c = 0; c < 3; c++) image.data[4 * i + c] = 255 * toSrgb(1 - Math.exp(-key * pixels[3 * i + c]));
        image.data[4 * i + 3] = 255;
      }
      canvas.getContext("2d").putImageData(image, 0, 0);
      this.drawn = canvas;
      return canvas;
    }

    // Draw it into a canvas, turned by `yaw` (counterclockwise from above, so the picture goes left).
    draw(canvas, yaw = 0) {
      const { width, height } = canvas;
      const shift = ((-yaw / (2 * Math.PI) * width) % width + width) % width;
      const context = canvas.getContext("2d");
      for (const left of [shift - width, shift]) context.drawImage(this.picture(), left, 0, width, height);
    }
  }

  function made(name, radiance) {
    const width = 256, height = 128, pixels = new Float32Array(3 * width * height);
    for (let y = 0; y < height; y++) {
      const polar = (y + 0.5) / height * Math.PI;
      for (let x = 0; x < width; x++) {
        const azimuth = 2 * Math.PI * (0.5 - (x + 0.5) / width);
        const direction = [Math.sin(polar) * Math.cos(azimuth), Math.sin(polar) * Math.sin(azimuth), Math.cos(polar)];
        pixels.set(radiance(direction), 3 * (y * width + x));
      }
    }
    return new Light(name, { width, height, pixels });
  }

  function lobe(direction, azimuthDeg, elevationDeg, sharpness) {
    const a = azimuthDeg * Math.PI / 180, e = elevationDeg * Math.PI / 180;
    const towards = [Math.cos(e) * Math.cos(a), Math.cos(e) * Math.sin(a), Math.sin(e)];
    return Math.exp(sharpness * (towards.reduce((sum, value, i) => sum + value * direction[i], 0) - 1));
  }

  // A large soft lamp from the left, a cool one behind, a dim room.
  function softbox() {
    return made("softbox", (d) => {
      const key = 14 * lobe(d, 40, 40, 22), rim = 7 * lobe(d, -130, 25, 40), room = 0.16 + 0.1 * d[2];
      return [key + 0.8 * rim + room, 0.96 * key + 0.9 * rim + room, 0.9 * key + rim + 1.06 * room];
    });
  }

  // A clear sky with a low sun over sand.
  function openSky() {
    return made("open_sky", (d) => {
      const sun = 160 * lobe(d, -35, 32, 700) + 1.2 * lobe(d, -35, 32, 12);
      const haze = Math.exp(-4 * Math.abs(d[2]));
      const base = d[2] > 0 ? [0.26 + 0.5 * haze, 0.42 + 0.42 * haze, 0.78 + 0.2 * haze] : [0.3, 0.25, 0.19];
      return [base[0] + sun, base[1] + 0.86 * sun, base[2] + 0.66 * sun];
    });
  }

  Object.assign(fovea, { lights: { Light, softbox, openSky, fromBytes: (bytes, name) => new Light(name, read(bytes, name)) } });
})();
