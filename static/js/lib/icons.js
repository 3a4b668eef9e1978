// Line icons, drawn in currentColor; decoration only, the word beside them carries the meaning.
const icon = (size, body, width = 1.5) =>
  `<svg width="${size}" height="${size}" viewBox="0 0 ${size} ${size}" fill="none" stroke="currentColor" stroke-width="${width}" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true">${body}</svg>`;

export const ICONS = {
  down: icon(13, '<path d="M6.5 1.500v10M2 7l4.500 4.500L11 7"/>', 2),
  up: icon(13, '<path d="M6.5 11.500v-10M2 6l4.500-4.500L11 6"/>', 2),
  same: icon(13, '<path d="M2 6.500h9"/>', 2),
  tick: icon(12, '<path d="M2.500 6.500 5 9l4.500-6"/>', 2),
  cross: icon(12, '<path d="m3 3 6 6M9 3 3 9"/>', 2),
  lock: icon(14, '<rect x="2.500" y="6" width="9" height="6.500" rx="1.500"/><path d="M4.500 6V4.200a2.500 2.500 0 0 1 5 0V6"/>'),
  ban: icon(14, '<circle cx="7" cy="7" r="5.250"/><path d="m3.300 3.300 7.400 7.400"/>'),
  more: icon(14, '<path d="m3.500 5.500 3.500 3.500 3.500-3.500"/>'),
  file: icon(20, '<path d="M5 2.500h6.500l4 4v11H5z"/><path d="M11.500 2.500v4h4"/>'),
  data: icon(20, '<rect x="2.500" y="2.500" width="6" height="6" rx="1"/><rect x="11.500" y="2.500" width="6" height="6" rx="1"/><rect x="2.500" y="11.500" width="6" height="6" rx="1"/><rect x="11.500" y="11.500" width="6" height="6" rx="1"/>'),
  ready: icon(20, '<circle cx="10" cy="10" r="7.500"/><path d="m6.500 10.300 2.400 2.400 4.600-5.200"/>'),
  refused: icon(20, '<circle cx="10" cy="10" r="7.500"/><path d="m7.200 7.200 5.600 5.600M12.800 7.200l-5.600 5.600"/>'),
  shield: icon(16, '<path d="M8 1.500 13.500 3.500v4c0 3.500-2.300 5.700-5.500 7-3.200-1.300-5.500-3.500-5.500-7v-4z"/><path d="m5.500 8 1.800 1.800L10.700 6.300"/>'),
  info: icon(16, '<circle cx="8" cy="8" r="6.250"/><path d="M8 7.300v3.700M8 5v.01"/>'),
  warn: icon(16, '<path d="M8 2 14.500 13.500h-13z"/><path d="M8 6.500v3M8 11.500v.01"/>'),
  save: icon(15, '<path d="M7.500 2v7M4.500 6.500l3 3 3-3M2.500 12.500h10"/>', 1.6),
};
