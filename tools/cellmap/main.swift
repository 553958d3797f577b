print("cellmap")
