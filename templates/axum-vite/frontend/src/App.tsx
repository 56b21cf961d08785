import { useEffect, useState } from 'react'

type Answer =
  | { state: 'loading' }
  | { state: 'done'; message: string }
  | { state: 'failed'; reason: string }

async function fetchMessage(signal: AbortSignal): Promise<string> {
  const response = await fetch('/api/hello', { signal })
  if (!response.ok) {
    throw new Error(`/api/hello gave HTTP ${response.status}`)
  }
  const body: { message: string } = await response.json()
  return body.message
}

function text(answer: Answer): string {
  switch (answer.state) {
    case 'loading':
      return '…'
    case 'done':
      return answer.message
    case 'failed':
      return `No answer from the backend: ${answer.reason}`
  }
}

export default function App() {
  const [answer, setAnswer] = useState<Answer>({ state: 'loading' })

  useEffect(() => {
    const abort = new AbortController()
    fetchMessage(abort.signal)
      .then((message) => setAnswer({ state: 'done', message }))
      .catch((error: unknown) => {
        if (abort.signal.aborted) return
        const reason = error instanceof Error ? error.message : String(error)
        setAnswer({ state: 'failed', reason })
      })
    return () => abort.abort()
  }, [])

  return (
    <main className="card">
      <h1>Axum + Vite</h1>
      <p id="message" className={answer.state} role="status">
        {text(answer)}
      </p>
      <p className="hint">
        Edit <code>frontend/src/App.tsx</code> or{' '}
        <code>backend/src/main.rs</code> and save.
      </p>
    </main>
  )
}
