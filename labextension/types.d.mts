/** Return the types of the event schema as TypeScript. */
export function types(): Promise<string>;
