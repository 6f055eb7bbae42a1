import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { connection } from "./api/connection";
import { onKey } from "./app/keyboard";
import { Pages, preloadPage } from "./app/pages";
import { currentPath } from "./app/router";
import { SessionGate } from "./app/session";
import { SignIn } from "./app/sign-in";
import "./app/style.css";
import { applyTheme } from "./app/theme";

applyTheme();
preloadPage(currentPath());
document.addEventListener("keydown", onKey);
window.addEventListener("online", () => void connection.tryNow());

const root = document.getElementById("root");
if (root !== null) {
  createRoot(root).render(
    <StrictMode>
      <SessionGate fallback={(state, signIn) => <SignIn state={state} signIn={signIn} />}>
        <Pages />
      </SessionGate>
    </StrictMode>,
  );
}
