import { defineConfig } from 'vitest/config';

export default defineConfig({
  resolve: {
    // JupyterLab's icons are built by its bundler; components need little of them.
    alias: {
      '@jupyterlab/ui-components': new URL(
        'src/test/ui-components.tsx',
        import.meta.url
      ).pathname
    }
  },
  esbuild: { jsx: 'automatic' },
  test: { environment: 'node', include: ['src/test/**/*.test.{ts,tsx}'] }
});
