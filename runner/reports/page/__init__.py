"""The report page: one HTML file that shows where memory goes. `document` makes its data, `html` the file, src/ the script."""
