import { LabIcon } from '@jupyterlab/ui-components';

/** Warp and weft. */
export const loomIcon = new LabIcon({
  name: 'loom:loom',
  svgstr: `<svg xmlns="http://www.w3.org/2000/svg" width="16" height="16" viewBox="0 0 24 24">
  <g class="jp-icon3 jp-icon-selectable" fill="#616161">
    <rect x="2" y="2.5" width="20" height="2.4" rx="1.2"/>
    <rect x="2" y="19.1" width="20" height="2.4" rx="1.2"/>
    <path d="M5 6h2v3.2H5zM5 14.2h2V18H5zM11 6h2v1.2h-2zM11 11.4h2v1.2h-2zM11 16.8h2V18h-2zM17 6h2v3.2h-2zM17 14.2h2V18h-2z"/>
    <rect x="2.6" y="8.2" width="6.8" height="0" rx="0"/>
    <rect x="8.4" y="8.4" width="13" height="2" rx="1"/>
    <rect x="2.6" y="10.9" width="6.8" height="2.2" rx="1.1"/>
    <rect x="14.6" y="10.9" width="6.8" height="2.2" rx="1.1"/>
    <rect x="8.4" y="13.6" width="7.2" height="2.2" rx="1.1"/>
  </g>
</svg>`
});
