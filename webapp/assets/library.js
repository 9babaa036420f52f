export function startLibrary() {}
export function showLibrary() {}
