// The page's words, in English and simplified Chinese. `say("orbit")` gives those of the present language.
"use strict";
(() => {
  const WORDS = {
    en: {
      other: "中文", theme: "Light or dark", view: "Scene", tools: "Camera",
      orbit: "Orbit", orbit_hint: "Turn around the scene (1)", walk: "Walk", walk_hint: "Walk through the scene (2)",
      film: "Film", film_hint: "Play the camera's path (space)", home: "Home", home_hint: "Back to the first view (H)",
      photographs: "Photographs", no_photograph: "Photos", previous: "Previous photograph ([)",
      next: "Next photograph (])", wipe: "Line between photograph and render", photograph: "photograph", render: "render", truth: "truth",
      relight: "Relighting", light: "Light", reset: "Reset", reset_hint: "Light and materials as at first",
      turn: "Turn", exposure: "Exposure", backdrop: "Light as backdrop", shown: "Show", material: "Material",
      roughness: "Roughness", metallic: "Metallic", saturation: "Saturation", tint: "Tint",
      fitted: "fitted", softbox: "softbox", open_sky: "open sky", own_light: "your own", own_light_hint: "Open an .hdr or .exr, or drop one anywhere",
      show_relit: "Relit", show_radiance: "As photographed", show_albedo: "Albedo", show_normal: "Normals",
      show_roughness: "Roughness", show_metallic: "Metallic",
      light_format: "this is no Radiance .hdr (RGBE, rows from the top) and no .exr.",
      light_shape: "a light map is twice as wide as high; this one is", light_damaged: "the file is cut off or damaged.", keys: "Keys (?)", full: "Full screen",
      stages: "Stages", scores: "Scores", curves: "Curves", notes: "Notes",
      pending: "waiting", running: "running", done: "done", failed: "failed", cancelled: "cancelled",
      interrupted: "interrupted", skipped: "skipped",
      loading: "Loading the scene", waiting: "The scene appears here once a stage has made it.",
      no_scene: "This run holds no scene.", gone: "The run cannot be read any more. Is `fovea view` still running?",
      no_webgl: "This browser shows no 3D: WebGL 2 is switched off or missing.",
      broken: "The scene cannot be shown:", gaussians: "Gaussians", step: "step", of: "of",
      logarithmic: "log", better_max: "higher is better",
      better_min: "lower is better", train: "train", test: "test", nothing_yet: "Nothing has been measured yet.",
      help_drag: "drag, one finger", help_drag_does: "turn", help_pan: "right drag, two fingers", help_pan_does: "shift",
      help_wheel: "wheel, pinch", help_wheel_does: "nearer, farther", help_move: "W A S D, arrows", help_move_does: "walk",
      help_lift: "Q E", help_lift_does: "down, up", help_fast: "Shift", help_fast_does: "faster",
      help_film: "space", help_film_does: "film", help_photo: "[ ]", help_photo_does: "photographs",
      help_home: "H", help_home_does: "first view", help_turn: "Shift drag, , .", help_turn_does: "turn the light",
      help_up: "U", help_up_does: "another axis is up", help_light: "L", help_light_does: "next light",
    },
    zh: {
      other: "English", theme: "浅色或深色", view: "场景", tools: "相机",
      orbit: "环绕", orbit_hint: "绕场景旋转（1）", walk: "漫游", walk_hint: "在场景中行走（2）",
      film: "播放", film_hint: "沿相机路径播放（空格）", home: "复位", home_hint: "回到初始视角（H）",
      photographs: "照片", no_photograph: "照片", previous: "上一张照片（[）",
      next: "下一张照片（]）", wipe: "照片与渲染之间的分界线", photograph: "照片", render: "渲染", truth: "真值",
      relight: "重打光", light: "光照", reset: "重置", reset_hint: "恢复最初的光照和材质",
      turn: "旋转", exposure: "曝光", backdrop: "以光照为背景", shown: "显示", material: "材质",
      roughness: "粗糙度", metallic: "金属度", saturation: "饱和度", tint: "色调",
      fitted: "拟合所得", softbox: "柔光箱", open_sky: "晴空", own_light: "自选", own_light_hint: "打开 .hdr 或 .exr，或拖放到任意处",
      show_relit: "重打光", show_radiance: "如照片", show_albedo: "反照率", show_normal: "法线",
      show_roughness: "粗糙度", show_metallic: "金属度",
      light_format: "既不是 Radiance .hdr（RGBE，自上而下）也不是 .exr。",
      light_shape: "光照图的宽应为高的两倍，此图为", light_damaged: "文件不完整或已损坏。", keys: "按键（?）", full: "全屏",
      stages: "阶段", scores: "分数", curves: "曲线", notes: "说明",
      pending: "等待中", running: "运行中", done: "完成", failed: "失败", cancelled: "已取消",
      interrupted: "已中断", skipped: "已跳过",
      loading: "正在加载场景", waiting: "某个阶段生成场景后会显示在这里。",
      no_scene: "此运行没有场景。", gone: "无法再读取此运行。`fovea view` 还在运行吗？",
      no_webgl: "此浏览器无法显示三维内容：WebGL 2 被关闭或不受支持。",
      broken: "无法显示场景：", gaussians: "个高斯", step: "步", of: "/",
      logarithmic: "对数", better_max: "越高越好",
      better_min: "越低越好", train: "训练", test: "测试", nothing_yet: "尚无测量结果。",
      help_drag: "拖动，单指", help_drag_does: "旋转", help_pan: "右键拖动，双指", help_pan_does: "平移",
      help_wheel: "滚轮，捏合", help_wheel_does: "靠近或远离", help_move: "W A S D，方向键", help_move_does: "行走",
      help_lift: "Q E", help_lift_does: "下降、上升", help_fast: "Shift", help_fast_does: "加速",
      help_film: "空格", help_film_does: "播放", help_photo: "[ ]", help_photo_does: "切换照片",
      help_home: "H", help_home_does: "初始视角", help_turn: "Shift 拖动，, .", help_turn_does: "旋转光照",
      help_up: "U", help_up_does: "换一个轴向上", help_light: "L", help_light_does: "下一种光照",
    },
  };

  const asked = new URLSearchParams(location.search).get("lang");
  const wanted = asked || remembered("fovea.lang") || navigator.language || "en";
  let language = wanted.toLowerCase().startsWith("zh") ? "zh" : "en";

  function remembered(key) {
    try { return localStorage.getItem(key); } catch { return null; }
  }

  function remember(key, value) {
    try { localStorage.setItem(key, value); } catch { /* a page opened from disk may have no store */ }
  }

  function say(word) {
    return WORDS[language][word] ?? word;
  }

  // Put the words into every element that asks for them.
  function translate(root = document) {
    document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
    for (const element of root.querySelectorAll("[data-say]")) element.textContent = say(element.dataset.say);
    for (const element of root.querySelectorAll("[data-say-title]")) {
      element.title = say(element.dataset.sayTitle);
      element.setAttribute("aria-label", element.title);
    }
    for (const element of root.querySelectorAll("[data-say-label]")) {
      element.setAttribute("aria-label", say(element.dataset.sayLabel));
    }
  }

  function switchLanguage() {
    language = language === "zh" ? "en" : "zh";
    remember("fovea.lang", language);
  }

  window.fovea = {
    ready: false, say, translate, switchLanguage, remember, remembered,
    locale: () => (language === "zh" ? "zh-CN" : "en-GB"), words: WORDS,
  };
})();
