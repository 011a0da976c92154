// The images of the map, drawn here: round, triangle, square, ring, as in the legend; and the pin of a
// panic.
import { colour } from "./map_style.js";

const RATIO = 2,
  SHAPE_PX = 16,
  PIN_PX = [30, 38];

function put(map, id, [width, height], draw) {
  const context = new OffscreenCanvas(width * RATIO, height * RATIO).getContext("2d");
  context.scale(RATIO, RATIO);
  draw(context);
  const image = context.getImageData(0, 0, width * RATIO, height * RATIO);
  if (map.hasImage(id)) map.updateImage(id, image);
  else map.addImage(id, image, { pixelRatio: RATIO });
}

export function shapes(map) {
  for (const status of ["online", "degraded", "offline", "unknown"])
    put(map, `school-${status}`, [SHAPE_PX, SHAPE_PX], (context) => shape(context, status));
}

function shape(context, status) {
  const middle = SHAPE_PX / 2,
    reach = SHAPE_PX * 0.4;
  context.beginPath();
  if (status === "offline")
    context.rect(middle - reach * 0.9, middle - reach * 0.9, reach * 1.8, reach * 1.8);
  else if (status === "degraded") {
    context.moveTo(middle, middle - reach);
    context.lineTo(middle + reach, middle + reach * 0.85);
    context.lineTo(middle - reach, middle + reach * 0.85);
    context.closePath();
  } else context.arc(middle, middle, reach * 0.9, 0, 2 * Math.PI);
  context.lineWidth = 1.4;
  context.fillStyle = colour(status === "unknown" ? "land" : status);
  context.strokeStyle = colour(status === "unknown" ? "unknown" : status === "offline" ? "text" : "land");
  context.fill();
  context.stroke();
}

export function pins(map) {
  const [width, height] = PIN_PX,
    middle = width / 2,
    round = middle - 2;
  put(map, "panic", PIN_PX, (context) => {
    context.beginPath();
    context.arc(middle, middle, round, Math.PI * 0.85, Math.PI * 0.15);
    context.lineTo(middle, height - 1);
    context.closePath();
    context.fillStyle = colour("panic");
    context.strokeStyle = colour("text");
    context.lineWidth = 1.5;
    context.fill();
    context.stroke();
  });
}
