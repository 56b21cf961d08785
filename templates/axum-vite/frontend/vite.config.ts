import { defineConfig } from 'vite'
import react from '@vitejs/plugin-react'

// https://vite.dev/config/
export default defineConfig({
  plugins: [react()],
  server: {
    port: 5173,
    proxy: {
      // The backend: its port is in ../backend/config.json.
      '/api': 'http://localhost:8000',
    },
  },
})
