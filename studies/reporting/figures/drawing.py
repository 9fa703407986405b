from studies.reporting.csv_table import write_csv
from studies.reporting.writer import draw_picture


def write_drawing(folder, drawing):
    folder.mkdir(parents=True, exist_ok=True)
    write_csv(folder / f"{drawing.name}.csv", drawing.columns, drawing.rows)
    draw_picture(folder / f"{drawing.name}.png", drawing)
    return folder / f"{drawing.name}.png"


def write_drawings(folder, drawings):
    return {d.caption: write_drawing(folder, d) for d in drawings}
