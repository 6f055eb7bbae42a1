// The page with a release of the AI SDK that knows approvals.

import { lastAssistantMessageIsCompleteWithApprovalResponses } from "ai";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./chat.jsx";

createRoot(document.getElementById("root")).render(
  <StrictMode>
    <App sendAutomaticallyWhen={lastAssistantMessageIsCompleteWithApprovalResponses} />
  </StrictMode>,
);
