// What is wrong with the page as it stands, as a list of sentences.
(() => {
  const out = [];
  const ids = [...document.querySelectorAll("[id]")].map((n) => n.id);
  out.push(...new Set(ids.filter((id, i) => ids.indexOf(id) !== i).map((id) => `the id ${id} is there twice`)));

  const { scrollWidth, clientWidth } = document.documentElement;
  if (scrollWidth > clientWidth) {
    const wide = [...document.querySelectorAll("body *")].filter((n) => n.getBoundingClientRect().right > clientWidth && !n.closest(".scroll"));
    out.push(`the page is ${scrollWidth} px wide: ${wide.slice(0, 3).map((n) => n.outerHTML.slice(0, 80)).join(" | ")}`);
  }

  for (const target of document.querySelectorAll("button, select, input:not([type=checkbox], [type=radio])")) {
    const { width, height } = target.getBoundingClientRect();
    if (target.checkVisibility() && (width < 24 || height < 24)) {
      out.push(`${target.outerHTML.slice(0, 80)} is ${width} by ${height} px, too small to be hit`);
    }
  }

  // contrast by WCAG 2.2, 1.4.3: 4.5, for large text 3
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const ground = (node) => {
    for (let n = node; n; n = n.parentElement) {
      const colour = rgba(getComputedStyle(n).backgroundColor);
      if (colour[3] === 255) {
        return colour;
      }
    }
    return [255, 255, 255, 255];
  };
  const seen = new Set();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode.parentElement;
    if (seen.has(node) || walker.currentNode.data.trim() === "" || node.closest(":disabled, .unseen, .mirror, noscript, script, svg, .chip") || !node.checkVisibility()) {
      continue;
    }
    seen.add(node);
    const style = getComputedStyle(node);
    const [a, b] = [light(rgba(style.color)), light(ground(node))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    if (ratio < (large ? 3 : 4.5)) {
      out.push(`${JSON.stringify(node.textContent.slice(0, 40))} has a contrast of ${ratio.toFixed(2)}`);
    }
  }
  return out;
})();
