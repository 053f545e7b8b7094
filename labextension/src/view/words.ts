/** The part of JupyterLab's translator that words need. */
export interface Words {
  __(text: string, ...values: unknown[]): string;
  _n(one: string, many: string, count: number, ...values: unknown[]): string;
}
