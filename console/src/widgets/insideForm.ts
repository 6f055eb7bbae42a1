// Whether a form of the browser's is around: one cannot be inside another.

import { createContext } from "react";

export const InsideForm = createContext(false);
