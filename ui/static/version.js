// The version of the app; the build fills it in.
export const VERSION = "";
