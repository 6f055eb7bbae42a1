// The files of a message that is being written: each is uploaded as soon as it is chosen.

import { useCallback, useEffect, useRef, useState } from "react";
import { upload, type Upload } from "../api/files";
import { isAbort, told } from "../api/http";

export interface Pending {
  key: number;
  file: File;
  done: number;
  upload: Upload | null;
  error: string | null;
}

export interface Uploads {
  files: readonly Pending[];
  add: (files: Iterable<File>) => void;
  remove: (key: number) => void;
  clear: () => void;
  /** All that were chosen are there. */
  complete: boolean;
}

export function useUploads(): Uploads {
  const [files, setFiles] = useState<readonly Pending[]>([]);
  const controllers = useRef(new Map<number, AbortController>());
  const last = useRef(0);

  useEffect(() => {
    const open = controllers.current;
    return () => {
      for (const controller of open.values()) controller.abort();
    };
  }, []);

  const change = useCallback((key: number, changes: Partial<Pending>) => {
    setFiles((old) => old.map((one) => (one.key === key ? { ...one, ...changes } : one)));
  }, []);

  const add = useCallback(
    (chosen: Iterable<File>) => {
      for (const file of chosen) {
        const key = ++last.current;
        const controller = new AbortController();
        controllers.current.set(key, controller);
        setFiles((old) => [...old, { key, file, done: 0, upload: null, error: null }]);
        upload(file, (done) => change(key, { done }), controller.signal)
          .then((made) => change(key, { upload: made, done: 1 }))
          .catch((error: unknown) => {
            if (!isAbort(error)) change(key, { error: told(error) });
          });
      }
    },
    [change],
  );

  const remove = useCallback((key: number) => {
    controllers.current.get(key)?.abort();
    controllers.current.delete(key);
    setFiles((old) => old.filter((one) => one.key !== key));
  }, []);

  const clear = useCallback(() => {
    controllers.current.clear();
    setFiles([]);
  }, []);

  return { files, add, remove, clear, complete: files.every((one) => one.upload !== null) };
}
